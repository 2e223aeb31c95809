//! Against gateways that answer as they should, as they should not, or not at all.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// For what happens at once unless something is wrong.
const WAIT: Duration = Duration::from_secs(20);
const TICKET: DeliveryTicket = DeliveryTicket(7);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

/// A request as a gateway has read it.
#[derive(Debug, Default)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str()).unwrap_or_default();
        assert!(found.next().is_none(), "two headers {name}");
        value
    }

    fn read(stream: &mut impl Read) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = std::iter::from_fn(|| {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
        });
        let line = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        });
        let mut seen = Self { line, headers: headers.collect(), body: Vec::new() };
        seen.body = vec![0; seen.header("content-length").parse().unwrap_or_default()];
        reader.read_exact(&mut seen.body).unwrap();
        seen
    }
}

/// What a gateway does with a connection whose request it has read.
type Answer = dyn FnMut(&mut dyn Write) + Send;

struct FakeGateway {
    port: u16,
    requests: Receiver<Seen>,
    /// Of files that the configuration names, which nobody else can change.
    directory: tempfile::TempDir,
    _thread: JoinHandle<()>,
}

impl FakeGateway {
    /// Answers one connection after the other; with a certificate, by TLS.
    fn start(certificate: Option<&'static str>, mut answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        let _thread = thread::spawn(move || {
            let config = certificate.map(tls_config);
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(WAIT)).unwrap();
                let seen = match &config {
                    None => Some(serve(&mut stream, &mut *answer)),
                    Some(config) => {
                        let mut tls = ServerConnection::new(config.clone()).unwrap();
                        // Who does not trust the certificate goes.
                        while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
                        let is_trusted = !tls.is_handshaking();
                        let mut stream = StreamOwned::new(tls, stream);
                        is_trusted.then(|| serve(&mut stream, &mut *answer))
                    }
                };
                if seen.is_some_and(|seen| sender.send(seen).is_err()) {
                    return;
                }
            }
        });
        Self { port, requests, directory: tempfile::tempdir().unwrap(), _thread }
    }

    fn answering(answers: &[&str]) -> Self {
        let mut answers: Vec<_> = answers.iter().rev().map(|text| (*text).to_owned()).collect();
        Self::start(
            None,
            Box::new(move |stream| {
                let answer = answers.pop().expect("one more request");
                let _ = stream.write_all(answer.as_bytes());
            }),
        )
    }

    fn config(&self) -> WebhookConfig {
        let url = format!("http://127.0.0.1:{}/send?key=a", self.port);
        WebhookConfig { url, timeout: WAIT, ..WebhookConfig::default() }
    }

    /// A file for the gateway's configuration.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.file(name, &fs::read_to_string(format!("{CERTIFICATES}/{name}")).unwrap())
    }

    fn tls_config(&self) -> WebhookConfig {
        let url = format!("https://127.0.0.1:{}/", self.port);
        WebhookConfig { url, ca_file: self.certificate("ca.pem"), ..self.config() }
    }
}

fn serve<S: Read + Write>(stream: &mut S, answer: &mut Answer) -> Seen {
    let seen = Seen::read(stream);
    answer(stream);
    let _ = stream.flush();
    seen
}

fn tls_config(certificate: &str) -> Arc<ServerConfig> {
    let certificate =
        CertificateDer::from_pem_file(format!("{CERTIFICATES}/{certificate}")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{CERTIFICATES}/gateway.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

/// What becomes of one code.
fn deliver(config: &WebhookConfig) -> Result<(), DeliveryError> {
    let (reports, received) = channel();
    let reports = Mutex::new(reports);
    let report: Report = Arc::new(move |ticket, result| {
        let _ = reports.lock().unwrap().send((ticket, result));
    });
    let delivery = WebhookDelivery::start(config, &report).unwrap();
    let phone = Phone::parse(b"+4915112345617").unwrap();
    delivery.deliver(TICKET, &phone, &Otp::parse(b"012345").unwrap());
    let (ticket, result) = received.recv_timeout(2 * WAIT).unwrap();
    assert_eq!(ticket, TICKET);
    result
}

fn failed(why: &str) -> Result<(), DeliveryError> {
    Err(DeliveryError::Failed(why.into()))
}

#[test]
fn a_gateway_gets_phone_and_code_with_the_headers_and_a_signature() {
    let gateway = FakeGateway::answering(&[OK]);
    let headers = vec!["Authorization: Bearer token".parse().unwrap()];
    let secret_file = gateway.file("secret", "0123456789abcdef\n");
    let config = WebhookConfig { headers, secret_file, ..gateway.config() };
    assert_eq!(deliver(&config), Ok(()));
    let seen = gateway.requests.recv_timeout(WAIT).unwrap();
    assert_eq!(seen.line, "POST /send?key=a HTTP/1.1");
    assert_eq!(seen.body, br#"{"phone":"+4915112345617","code":"012345"}"#);
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("authorization"), "Bearer token");
    assert_eq!(seen.header("idempotency-key").len(), 32);
    assert_eq!(seen.header("transfer-encoding"), "");
    let time = seen.header("x-waxwing-time").parse().unwrap();
    let expected = signature(b"0123456789abcdef", time, &seen.body);
    assert_eq!(seen.header("x-waxwing-signature"), expected);
}

#[test]
fn a_signature_is_what_openssl_makes_of_it() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
    let expected = "sha256=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23";
    assert_eq!(signature(b"0123456789abcdef", 1_700_000_000, br#"{"a":1}"#), expected);
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let gateway = FakeGateway::answering(&[OK]);
    assert_eq!(deliver(&gateway.config()), Ok(()));
    assert_eq!(gateway.requests.recv_timeout(WAIT).unwrap().header("x-waxwing-signature"), "");
}

#[test]
fn each_answer_but_2xx_is_a_failure_and_redirects_lead_nowhere() {
    for (answer, expected) in [
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nyes", Ok(())),
        ("HTTP/1.1 204 No Content\r\n\r\n", Ok(())),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Ok(())),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
            failed("the gateway answered 301"),
        ),
        ("HTTP/1.1 307 Moved\r\nLocation: /other\r\n\r\n", failed("the gateway answered 307")),
        (
            "HTTP/1.1 400 +4915112345617 012345\r\n\r\n",
            Err(DeliveryError::Refused("the gateway answered 400".into())),
        ),
        (
            "HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n012345678",
            failed("the gateway answered 500"),
        ),
    ] {
        let gateway = FakeGateway::answering(&[answer]);
        assert_eq!(deliver(&gateway.config()), expected, "{answer}");
        assert!(gateway.requests.recv_timeout(WAIT).is_ok());
    }
}

#[test]
fn after_garbage_nobody_knows_whether_the_code_went_out() {
    let unclear = DeliveryError::Unclear("the gateway did not answer as HTTP is".into());
    assert!(unclear.may_be_out());
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(LARGEST_HEAD));
    for answer in ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200", "HTTP/1.1 abc OK\r\n\r\n", &long] {
        let gateway = FakeGateway::answering(&[answer]);
        assert_eq!(deliver(&gateway.config()), Err(unclear.clone()), "{answer:.40}");
    }
}

#[test]
fn a_gateway_that_is_too_busy_is_asked_again_under_the_same_key() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let gateway = FakeGateway::answering(&[busy, "HTTP/1.1 429 Slowly\r\n\r\n", OK]);
    assert_eq!(deliver(&gateway.config()), Ok(()));
    let keys: Vec<_> = (0..3)
        .map(|_| gateway.requests.recv_timeout(WAIT).unwrap().header("idempotency-key").to_owned())
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]));

    let gateway = FakeGateway::answering(&[busy, busy]);
    let config = WebhookConfig { retries: 1, ..gateway.config() };
    assert_eq!(deliver(&config), failed("the gateway answered 503"));
}

#[test]
fn a_gateway_that_is_silent_slow_or_endless_takes_its_time_and_no_more() {
    let timeout = Duration::from_millis(600);
    let silent: Box<Answer> = Box::new(|_| thread::sleep(Duration::from_secs(3)));
    let slow: Box<Answer> = Box::new(|stream| {
        for byte in OK.bytes().cycle().take(40) {
            if stream.write_all(&[byte]).and_then(|()| stream.flush()).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let endless: Box<Answer> =
        Box::new(|stream| while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {});
    for answer in [silent, slow, endless] {
        let gateway = FakeGateway::start(None, answer);
        let started = Instant::now();
        let config = WebhookConfig { timeout, ..gateway.config() };
        let error = deliver(&config).unwrap_err();
        assert!(error.may_be_out(), "{error}");
        assert!(started.elapsed() < WAIT);
    }
}

#[test]
fn of_a_large_answer_the_head_alone_is_read() {
    let (told, written) = channel();
    let gateway = FakeGateway::start(
        None,
        Box::new(move |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").unwrap();
            let mut bytes = 0_u64;
            while bytes < 10_000_000_000 && stream.write_all(&[b'x'; 65_536]).is_ok() {
                bytes += 65_536;
            }
            told.send(bytes).unwrap();
        }),
    );
    assert_eq!(deliver(&gateway.config()), Ok(()));
    // What the buffers of two sockets hold.
    assert!(written.recv_timeout(WAIT).unwrap() < 64 << 20);
}

#[test]
fn a_gateway_that_is_not_there_is_tried_again_and_surely_sent_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let config = WebhookConfig { url, timeout: WAIT, retries: 1, ..WebhookConfig::default() };
    let started = Instant::now();
    let error = deliver(&config).unwrap_err();
    assert!(!error.may_be_out() && error.to_string().contains("cannot be reached"), "{error}");
    assert!(started.elapsed() >= BACK_OFF);
}

#[test]
fn a_gateway_is_believed_when_somebody_who_is_trusted_vouches_for_it() {
    let ok = || -> Box<Answer> { Box::new(|stream| stream.write_all(OK.as_bytes()).unwrap()) };
    let gateway = FakeGateway::start(Some("gateway.pem"), ok());
    assert_eq!(deliver(&gateway.tls_config()), Ok(()));
    assert!(gateway.requests.recv_timeout(WAIT).is_ok());

    // The certificate of the gateway vouches for nobody, and the name is another.
    let gateway = FakeGateway::start(Some("gateway.pem"), ok());
    let other = WebhookConfig { retries: 0, ..gateway.tls_config() };
    let untrusted = WebhookConfig { ca_file: gateway.certificate("other.pem"), ..other.clone() };
    let named = WebhookConfig { url: other.url.replace("127.0.0.1", "localhost"), ..other };
    for (config, why) in [(untrusted, "nobody who is trusted vouches"), (named, "for another name")]
    {
        let error = deliver(&config).unwrap_err();
        assert!(error.to_string().contains(why) && !error.may_be_out(), "{error}");
    }
    assert_eq!(gateway.requests.try_recv().map(|_| ()).map_err(|_| ()), Err(()));

    // It vouches for itself.
    let gateway = FakeGateway::start(Some("self-signed.pem"), ok());
    let itself = WebhookConfig { retries: 0, ..gateway.tls_config() };
    let itself = WebhookConfig { ca_file: gateway.certificate("self-signed.pem"), ..itself };
    let error = deliver(&itself).unwrap_err().to_string();
    assert!(error.contains("is that of an authority; make one for the gateway"), "{error}");
}

#[test]
fn a_name_that_has_no_address_is_told() {
    let error = ("gateway..invalid", 443).to_socket_addrs().unwrap_err();
    assert_eq!(no_connection(&Error::Io(error)), "the name of the gateway has no address");
}

#[test]
fn a_gateway_without_tls_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut hello = vec![0; 4_096];
        let read = stream.read(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        hello.truncate(read);
        hello.extend(rest);
        hello
    });
    let url = format!("https://127.0.0.1:{port}/");
    let gateway = FakeGateway::answering(&[]);
    let config = WebhookConfig { url, retries: 0, ..gateway.tls_config() };
    let error = deliver(&config).unwrap_err();
    assert!(error.to_string().contains("does not speak TLS") && !error.may_be_out(), "{error}");
    let heard = heard.join().unwrap();
    assert!(!heard.windows(6).any(|bytes| bytes == b"012345"));
}

#[test]
fn a_file_without_a_certificate_is_a_mistake() {
    let gateway = FakeGateway::answering(&[]);
    let ca_file = gateway.file("ca.pem", "-----BEGIN NOTHING-----\n");
    let url = "https://127.0.0.1:1/".into();
    let config = WebhookConfig { url, ca_file, ..WebhookConfig::default() };
    let error = Gateway::of(&config).err().unwrap().to_string();
    assert_eq!(error, "otp.webhook.ca_file: there is no certificate in PEM in it");
}
