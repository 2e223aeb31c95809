//! Registration by a gateway: the server asks it over HTTP to send each code.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use waxwing::backend::provider;
use waxwing_core::crypto::Provider;

use crate::test_server::TestServer;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OK: Says = Says::Text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
/// For failure only.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a gateway answers.
#[derive(Clone, Copy)]
enum Says {
    Text(&'static str),
    /// And then more and more of it.
    Endless(&'static str),
    Nothing,
}

/// What a gateway was asked.
struct Asked {
    time: String,
    signature: String,
    body: Vec<u8>,
}

impl Asked {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut asked = Self { time: String::new(), signature: String::new(), body: Vec::new() };
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "x-waxwing-time" => asked.time = value.to_owned(),
                "x-waxwing-signature" => asked.signature = value.to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body).unwrap();
        asked
    }

    /// The code for this phone, after a look at the signature as contrib/otp/README.md says.
    fn code(&self, phone: &str) -> String {
        let signed = [self.time.as_bytes(), b".", &self.body].concat();
        let expected = hmac(SECRET.as_bytes(), &signed);
        assert_eq!(self.signature, format!("sha256={expected}"));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["phone"], phone);
        body["code"].as_str().unwrap().to_owned()
    }
}

/// HMAC-SHA256 by its definition in RFC 2104, with a key that is not longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let pad = |byte: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect()
    };
    let inner = provider().sha256(&[&pad(0x36), message]);
    let outer = provider().sha256(&[&pad(0x5c), &inner.0]);
    outer.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gateway on this machine, and a server that asks it.
struct Gateway {
    says: Arc<Mutex<Says>>,
    asked: Receiver<Asked>,
}

impl Gateway {
    fn start() -> (TestServer, Self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/send", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(OK));
        let (sender, asked) = channel();
        let answer = Arc::clone(&says);
        thread::spawn(move || {
            let mut silent = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let asked = Asked::read(&stream);
                let says = *answer.lock().unwrap();
                // A server that has heard enough goes.
                match says {
                    Says::Text(text) => _ = stream.write_all(text.as_bytes()),
                    Says::Endless(text) => {
                        let _ = stream.write_all(text.as_bytes());
                        while stream.write_all(&[b'x'; 1_024]).is_ok() {}
                    }
                    Says::Nothing => silent.push(stream),
                }
                if sender.send(asked).is_err() {
                    return;
                }
            }
        });
        let root = tempfile::tempdir().unwrap();
        let server = server(root, &url);
        (server, Self { says, asked })
    }

    /// From now on it answers this.
    fn answers(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn is_asked(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }
}

fn server(root: TempDir, url: &str) -> TestServer {
    let secret = root.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    TestServer::in_directory(
        root,
        &[
            ("otp.delivery", "webhook"),
            ("otp.webhook.url", url),
            ("otp.webhook.secret_file", &secret),
            ("otp.webhook.timeout", "1s"),
            ("otp.webhook.retries", "0"),
        ],
    )
}

#[test]
fn a_code_that_a_gateway_has_sent_makes_a_user() {
    let (server, gateway) = Gateway::start();
    let anna = server.newcomer("anna", "+4915112345601");
    let mut registering = anna.start_registering(&[]);
    registering.wait_for_err("code sent to the phone");
    let code = gateway.is_asked().code(&anna.phone);
    registering.write(&format!("{code}\n"));
    registering.finish_without_input().exits(0).says("registered +4915112345601 as 1");
    assert!(!server.log().contains(&code) && !server.log().contains(&anna.phone));
}

#[test]
fn whatever_a_gateway_answers_the_person_is_told_and_the_server_goes_on() {
    let (server, gateway) = Gateway::start();
    let bad = "HTTP/1.1 500 Out Of Order\r\nContent-Length: 0\r\n\r\n";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    let fails = |number: u16, says: Says| {
        gateway.answers(says);
        let person = server.newcomer(&format!("new{number}"), &format!("+491511234562{number}"));
        let told = person.register().exits(3);
        told.says("the server could not send a code").says("try again in");
        gateway.is_asked();
    };
    // Not sent, and that is sure.
    fails(1, Says::Text(bad));
    fails(2, Says::Text(elsewhere));
    // Sent; what comes behind the head is not waited for.
    gateway.answers(Says::Endless(head));
    let anna = server.newcomer("anna", "+4915112345610");
    anna.register().exits(6).says("code sent to the phone");
    let code = gateway.is_asked().code(&anna.phone);
    anna.register_with(&["--otp", &code]).exits(0);
    // Nobody knows whether it was sent.
    fails(3, Says::Text("220 mail.example ESMTP\r\n"));
    fails(4, Says::Endless("HTTP/1.1 200 OK\r\nX: "));
    fails(5, Says::Nothing);
    gateway.answers(OK);
    let bert = server.newcomer("bert", "+4915112345602");
    bert.register().exits(6).says("code sent to the phone");
    let code = gateway.is_asked().code(&bert.phone);
    bert.register_with(&["--otp", &code]).exits(0);
    bert.send(&anna, "hello").exits(0);
    anna.receives(&["hello"]);
}
