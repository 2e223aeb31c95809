use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn config() -> WebhookConfig {
    WebhookConfig { url: "http://127.0.0.1:1/send".into(), ..WebhookConfig::default() }
}

fn refusal(config: &WebhookConfig) -> String {
    config.request().expect_err("it cannot be used").to_string()
}

#[test]
fn without_tls_a_code_goes_to_this_machine_only() {
    for (url, why) in [
        ("http://127.0.0.1:8080/send", None),
        ("HTTP://127.1.2.3/", None),
        ("http://[::1]:8080/send?key=1", None),
        ("http://[::ffff:127.0.0.1]/", None),
        ("http://192.0.2.1/send", Some("this machine only")),
        ("http://localhost/send", Some("this machine only")),
        ("http://127.0.0.1.example/", Some("this machine only")),
        ("http://sms.example/send?to=127.0.0.1", Some("this machine only")),
        ("http://127.0.0.1@sms.example/", Some("a name and a password")),
        ("ftp://127.0.0.1/", Some("write the address of the gateway")),
        ("sms.example", Some("write the address of the gateway")),
        ("", Some("write the address of the gateway")),
        ("https://", Some("it names no host")),
        ("https:///send", Some("it names no host")),
        ("https://sms.example/a b", Some("a space")),
        ("https://sms.example/\r\nX: y", Some("a space")),
        ("https://sms.example/#top", Some("a space")),
    ] {
        match (Scheme::of(url), why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => assert!(error.contains(why), "{url}: {error}"),
            (verdict, _) => panic!("{url}: {verdict:?}"),
        }
    }
}

#[test]
fn a_body_of_json_is_json_with_any_code() {
    let with = |body: &str| refusal(&WebhookConfig { body: body.into(), ..config() });
    assert!(with("{phone} {code}").contains("otp.webhook.body: with a phone and a code in it"));
    assert!(with(r#"{"to":"{phone}","code":{code}}"#).contains("it is no JSON"));
    assert!(with(r#"{"to":"{phone}"}"#).contains("there is no {code}"));
    let form: Header = "content-type: application/x-www-form-urlencoded".parse().unwrap();
    let form =
        WebhookConfig { body: "to={phone}&c={code}".into(), headers: vec![form], ..config() };
    let body = form.request().unwrap().body("+15550001111", b"012345");
    assert_eq!(*body, b"to=%2B15550001111&c=012345");
}

#[test]
fn a_secret_is_long_and_nobody_elses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let config = WebhookConfig { secret_file: path.clone(), ..config() };
    assert!(refusal(&config).contains("otp.webhook.secret_file: /"));
    for (content, mode, why) in [
        ("0123456789abcdef\n", 0o600, None),
        ("0123456789abcdef", 0o640, Some("others can read it; run: chmod 600 /")),
        ("0123456789abcdef", 0o604, Some("others can read it")),
        ("0123456789abcdef", 0o622, Some("others can change it")),
        ("0123456789abcde\n", 0o600, Some("at least 16 bytes; make one with")),
        ("", 0o600, Some("at least 16 bytes")),
        (&*"x".repeat(4_097), 0o600, Some("larger than 4096 bytes")),
    ] {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        match why {
            None => {
                let secret = config.request().unwrap().secret.unwrap();
                assert_eq!(*secret, content.trim_end().as_bytes());
            }
            Some(why) => {
                let error = refusal(&config);
                assert!(error.contains(why) && !error.contains("012345"), "{error}");
            }
        }
    }
}

#[test]
fn certificates_are_asked_for_where_there_is_tls() {
    let absent = Path::new("/no/such/file").to_owned();
    let plain = WebhookConfig { ca_file: absent.clone(), ..config() };
    assert!(plain.request().is_ok());
    let tls = |ca_file| WebhookConfig { url: "https://sms.example/".into(), ca_file, ..config() };
    assert!(refusal(&tls(absent)).starts_with("otp.webhook.ca_file: /no/such/file: "));
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("ca.pem");
    for content in ["", " \n"] {
        fs::write(&empty, content).unwrap();
        let refusal = refusal(&tls(empty.clone()));
        assert!(refusal.contains("ca.pem: it is empty; write certificates"), "{refusal}");
    }
}
