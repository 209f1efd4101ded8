//! Has SIGTERM heard even where Python would miss it.
//!
//! A handler of Python's runs between two instructions of the main thread; the C handler only notes that it has to. If
//! the signal comes just before the main thread begins to wait for a lock, or to another thread, that wait is not
//! interrupted, and may have no end: a worker of `multiprocessing.Pool` waits so for its next task. Without a handler
//! the system would have ended the process, and we are the one who set it. So a timer of the system tells the main
//! thread again and again until the handler runs. A thread could do so too, but each forked child would have to start
//! one.

#[cfg(target_os = "linux")]
pub(crate) use linux::{heard, insist};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    //! There is no timer that tells one thread; a signal may be heard late.

    pub(crate) fn insist() {}

    pub(crate) fn heard() {}
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{heard, insist};

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "signals and timers are the C library's")]
mod linux {
    use std::{
        mem, ptr,
        sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    use crate::limits::{SIGTERM_PAUSE_MAX as PAUSE_MAX, SIGTERM_PAUSE_MIN as PAUSE_MIN};

    const PAUSE_MIN_MS: u64 = PAUSE_MIN.as_millis() as u64;
    const PAUSE_MAX_MS: u64 = PAUSE_MAX.as_millis() as u64;

    /// The timer of this process, which a forked child does not inherit.
    static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(ptr::null_mut());
    /// The process that has it; 0 for none. A timer's own id may be null.
    static OWNER: AtomicUsize = AtomicUsize::new(0);
    /// Milliseconds until the main thread is told again: twice as long each time, since native code may begin its wait
    /// anew whenever it is told.
    static PAUSE: AtomicU64 = AtomicU64::new(PAUSE_MIN_MS);
    /// The C handler of Python.
    static HANDLER: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

    /// To be called by the main thread of Python, when the handler of SIGTERM is one of Python's. A handler that is set
    /// later is left alone. What the system refuses (there is a limit on timers) is done without.
    pub(crate) fn insist() {
        let Some(timer) = timer_for_this_thread() else { return };
        TIMER.store(timer, SeqCst);
        OWNER.store(process(), SeqCst);
        // SAFETY: both structures are plain numbers, for which zeros are valid, and live through the calls.
        // `on_signal` has the signature of a handler without `SA_SIGINFO`, and calls only what a handler may.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            if libc::sigaction(libc::SIGTERM, ptr::null(), &raw mut action) != 0 {
                return;
            }
            let ours = on_signal as *const () as usize;
            if action.sa_sigaction == ours || action.sa_flags & libc::SA_SIGINFO != 0 {
                return;
            }
            if matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
                return;
            }
            HANDLER.store(action.sa_sigaction, SeqCst);
            action.sa_sigaction = ours;
            libc::sigaction(libc::SIGTERM, &raw const action, ptr::null_mut());
        }
    }

    /// The handler runs: nobody needs to be told any more.
    pub(crate) fn heard() {
        PAUSE.store(PAUSE_MIN_MS, SeqCst);
        set(Duration::ZERO);
    }

    /// Only what is async-signal-safe: the handler of Python, `getpid`, and `timer_settime`, which POSIX lists.
    extern "C" fn on_signal(signal: libc::c_int) {
        let handler = HANDLER.load(SeqCst);
        // SAFETY: it is what `sigaction` gave for a handler without `SA_SIGINFO`, and no special value. `errno` is the
        // interrupted thread's own.
        unsafe {
            let errno = *libc::__errno_location();
            let handler: extern "C" fn(libc::c_int) = mem::transmute(handler);
            handler(signal);
            let pause = PAUSE.load(SeqCst);
            PAUSE.store((pause * 2).min(PAUSE_MAX_MS), SeqCst);
            set(Duration::from_millis(pause));
            *libc::__errno_location() = errno;
        }
    }

    /// The process, which a fork without hooks changes too.
    fn process() -> usize {
        std::process::id() as usize
    }

    /// Tells the main thread after the pause; never after none.
    fn set(pause: Duration) {
        if OWNER.load(SeqCst) != process() {
            return;
        }
        let second = |time: Duration| libc::time_t::try_from(time.as_secs()).unwrap_or_default();
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let then = libc::timespec {
            tv_sec: second(pause),
            tv_nsec: libc::c_long::from(pause.subsec_nanos().cast_signed()),
        };
        let times = libc::itimerspec { it_interval: never, it_value: then };
        // SAFETY: the timer is this process's and is never deleted; the times live through the call.
        unsafe { libc::timer_settime(TIMER.load(SeqCst), 0, &raw const times, ptr::null_mut()) };
    }

    /// The timer of this process if it has one; else a new one that is not started.
    fn timer_for_this_thread() -> Option<libc::timer_t> {
        if OWNER.load(SeqCst) == process() {
            return Some(TIMER.load(SeqCst));
        }
        // SAFETY: the event is plain numbers, for which zeros are valid; both live through the call.
        unsafe {
            let mut timer = ptr::null_mut();
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGTERM;
            event.sigev_notify_thread_id = libc::gettid();
            let made =
                libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) == 0;
            made.then_some(timer)
        }
    }
}
