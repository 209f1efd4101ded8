//! Starts the client's own threads, in a way that a forked child can.
//!
//! A thread that the standard library starts enters itself into a table behind a mutex, for the message about a stack
//! overflow, and leaves it at its end. If a thread of the parent is in there at the moment of a fork, the mutex stays
//! locked in the child for ever, and no thread that is started there begins. So on unix the C library starts ours: its
//! own locks are whole again in a child. The price is that message.
//!
//! They take no signals (but on Windows, which has none): the system gives one that is sent to the process to any thread
//! that does not block it, one that just begins among them, and a thread of the program that waits for it (in Python's
//! `signal.pause()`) would wait on.

use std::io;

/// Starts a thread with so much stack that nobody joins. A panic ends the thread and nothing else.
///
/// # Errors
/// The system has none left.
#[cfg(unix)]
pub(crate) fn start(
    name: &'static str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let work = Box::new(move || {
        posix::set_name(name);
        work();
    });
    posix::start(stack_bytes, work)
}

/// See above.
#[cfg(not(unix))]
pub(crate) fn start(
    name: &'static str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    thread.spawn(work).map(drop)
}

#[cfg(unix)]
mod posix {
    use std::{
        ffi::c_void,
        io,
        mem::MaybeUninit,
        panic::{AssertUnwindSafe, catch_unwind},
        ptr,
    };

    type Work = Box<dyn FnOnce() + Send>;

    /// Signals that a thread brings upon itself. Blocked they would end the process past its handlers.
    const OWN_SIGNALS: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

    pub(super) fn start(stack_bytes: usize, work: Work) -> io::Result<()> {
        deaf(|| create(stack_bytes, work))
    }

    /// Blocks the signals of others meanwhile: a thread that begins in it inherits that, and none can come too early.
    fn deaf<T>(begin: impl FnOnce() -> T) -> T {
        let mut others = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the sets live through the calls, and are filled before they are read.
        #[expect(unsafe_code, reason = "the C library has the signals of a thread")]
        let blocked = unsafe {
            libc::sigfillset(others.as_mut_ptr());
            for signal in OWN_SIGNALS {
                libc::sigdelset(others.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, others.as_ptr(), before.as_mut_ptr()) == 0
        };
        let begun = begin();
        if blocked {
            // SAFETY: the call above has filled the set.
            #[expect(unsafe_code, reason = "the C library has the signals of a thread")]
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
            }
        }
        begun
    }

    fn create(stack_bytes: usize, work: Work) -> io::Result<()> {
        // The pointer to a boxed closure has two words, and a thread is given one.
        let work = Box::into_raw(Box::new(work));
        // SAFETY: the attributes are initialized before they are used and destroyed after. `run` gets the pointer
        // that it expects, and is the only one to have it unless there is no thread.
        #[expect(
            unsafe_code,
            reason = "the standard library's threads do not begin in every child"
        )]
        let error = unsafe {
            let mut attributes = MaybeUninit::uninit();
            let attributes: *mut libc::pthread_attr_t = attributes.as_mut_ptr();
            let mut error = libc::pthread_attr_init(attributes);
            if error == 0 {
                libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
                // Refused only if it is too little for this system; then the default is used.
                libc::pthread_attr_setstacksize(attributes, stack_bytes);
                let mut thread = MaybeUninit::uninit();
                error = libc::pthread_create(
                    thread.as_mut_ptr(),
                    attributes,
                    run,
                    work.cast::<c_void>(),
                );
                libc::pthread_attr_destroy(attributes);
            }
            if error != 0 {
                drop(Box::from_raw(work));
            }
            error
        };
        if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: `start` made this pointer out of such a box, for this thread alone.
        #[expect(unsafe_code, reason = "the C library hands on a pointer")]
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        // It must not unwind into the C library. The panic hook has spoken, and `Watch` has seen it.
        let _ = catch_unwind(AssertUnwindSafe(work));
        ptr::null_mut()
    }

    /// For debuggers and `top`; without it the thread works as well.
    pub(super) fn set_name(name: &str) {
        let Ok(name) = std::ffi::CString::new(name) else { return };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: the name is a C string; one that is too long is refused.
        #[expect(unsafe_code, reason = "the standard library names only threads that it starts")]
        unsafe {
            libc::pthread_setname_np(libc::pthread_self(), name.as_ptr());
        }
        #[cfg(target_vendor = "apple")]
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "the standard library names only threads that it starts")]
        unsafe {
            libc::pthread_setname_np(name.as_ptr());
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        drop(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::start;
    use crate::limits::SENDER_STACK_BYTES;

    #[test]
    fn a_thread_works_and_a_panic_in_it_is_its_own() {
        let (tell, told) = sync_channel(1);
        let told_too = tell.clone();
        start("millpond-test", SENDER_STACK_BYTES, move || tell.send(1).unwrap()).unwrap();
        assert_eq!(told.recv().unwrap(), 1);
        start("millpond-test", SENDER_STACK_BYTES, move || {
            let _told_too = told_too;
            panic!("of the test");
        })
        .unwrap();
        // The sender is dropped while the thread unwinds.
        assert!(told.recv().is_err());
    }

    /// The signals of `asked` that this thread blocks.
    #[cfg(unix)]
    fn blocked(asked: &[libc::c_int]) -> Vec<libc::c_int> {
        let mut mask = std::mem::MaybeUninit::uninit();
        // SAFETY: without a new set it only fills the old one, which is read after that.
        #[expect(unsafe_code, reason = "the C library has the signals of a thread")]
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
            let is_blocked = |signal: &libc::c_int| libc::sigismember(mask.as_ptr(), *signal) == 1;
            asked.iter().copied().filter(is_blocked).collect()
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_thread_takes_no_signals_but_those_that_it_brings_upon_itself() {
        const SENT: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGALRM, libc::SIGCHLD];
        let (tell, told) = sync_channel(1);
        start("millpond-test", SENDER_STACK_BYTES, move || {
            tell.send((blocked(&SENT), blocked(&[libc::SIGSEGV, libc::SIGBUS]))).unwrap();
        })
        .unwrap();
        assert_eq!(told.recv().unwrap(), (SENT.to_vec(), vec![]));
        // The thread that started it takes them as before.
        assert!(blocked(&SENT).is_empty());
    }
}
