//! What may stand between the client and its server: TLS with a private authority, a proxy.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails panics"
)]

mod support;

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use millpond::{BuildError, Client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use support::{Server, builder, flush, log, numbers};

const SOON: Duration = Duration::from_millis(50);

/// Starts something that takes connections, each in a thread of its own; its address.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

/// An authority that nobody knows, and an address at which a server with its certificate passes everything on.
fn private_tls(server: SocketAddr) -> (String, SocketAddr) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let address = listen(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(session, stream);
        // One request and its answer after the other: all that the client does.
        let plain = TcpStream::connect(server).unwrap();
        let mut answers = BufReader::new(plain.try_clone().unwrap());
        while pass_message(&mut BufReader::with_capacity(1, &mut tls), &plain).is_ok()
            && pass_message(&mut answers, &mut tls).is_ok()
        {}
    });
    (authority.pem(), address)
}

/// Passes one HTTP message on.
fn pass_message(from: &mut impl io::BufRead, mut to: impl io::Write) -> io::Result<()> {
    let (mut message, mut length) = (Vec::new(), 0);
    loop {
        let before = message.len();
        if from.read_until(b'\n', &mut message)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&message[before..]).to_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let head = message.len();
    message.resize(head + length, 0);
    from.read_exact(&mut message[head..])?;
    to.write_all(&message)?;
    to.flush()
}

#[test]
fn a_server_with_a_certificate_of_a_private_authority_is_trusted_if_the_authority_is() {
    let server = Server::start();
    let (authority, address) = private_tls(server.address);
    let endpoint = format!("https://localhost:{}", address.port());
    let client = builder(server.address)
        .endpoint(&endpoint)
        .ca_certificates(authority.as_bytes())
        .build()
        .unwrap();
    log(&client, 0..5);
    flush(&client);
    log(&client, 5..9);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..9));

    let distrustful = builder(server.address).endpoint(&endpoint).build().unwrap();
    log(&distrustful, 0..5);
    assert_eq!(distrustful.flush(SOON).left, 5);
    assert_eq!(server.messages(), numbers(0..9));
}

#[test]
fn what_is_no_certificate_is_refused_when_the_client_is_built() {
    let error = Client::builder().ca_certificates("no certificate").build().unwrap_err();
    assert!(matches!(error, BuildError::CaCertificates(_)), "{error}");
    let error = Client::builder().ca_file("/nowhere/ca.pem").build().unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    assert!(matches!(Client::builder().proxy("not a proxy").build(), Err(BuildError::Proxy(_))));
}

#[test]
fn a_proxy_is_asked_for_a_way_to_the_server() {
    let server = Server::start();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    let proxy = listen(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            reader.read_until(b'\n', &mut head).unwrap();
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        heads.lock().unwrap().push(head);
        let server = TcpStream::connect(target).unwrap();
        let mut client = &stream;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = io::copy(&mut reader, &mut &server);
                let _ = server.shutdown(Shutdown::Write);
            });
            let _ = io::copy(&mut &server, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        });
    });
    let client =
        builder(server.address).proxy(format!("http://user:secret@{proxy}")).build().unwrap();
    log(&client, 0..5);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..5));
    let asked = asked.lock().unwrap();
    let [head] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address)), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic"), "{head}");
}

#[test]
fn a_dsn_names_server_and_key() {
    let server = Server::start();
    let client =
        Client::builder().dsn(format!("http://mp_key@{}", server.address)).build().unwrap();
    log(&client, 0..1);
    flush(&client);
    assert_eq!(server.requests()[0].header("x-api-key"), Some("mp_key"));
    // What is said last counts.
    let elsewhere = builder(server.address).api_key("mp_other").dsn("http://mp_key@127.0.0.1:1");
    let client = elsewhere.endpoint(format!("http://{}", server.address)).build().unwrap();
    log(&client, 0..1);
    flush(&client);
    assert_eq!(server.requests()[1].header("x-api-key"), Some("mp_key"));
    let error = Client::builder().dsn("https://mp_key:secret@host").build().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
