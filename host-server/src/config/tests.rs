use std::fs;
use std::time::Duration;

use super::*;

fn from_file(text: &str) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.toml");
    fs::write(&path, text).unwrap();
    Config::load(Some(&path), [], &[])
}

fn refusal(text: &str) -> String {
    from_file(text).unwrap_err().to_string()
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_example_is_the_defaults() {
    let example = Config::example();
    assert_eq!(from_file(&example).unwrap(), Config::default(), "{example}");
    assert!(example.contains("\n[otp.exec]\n"));
    assert!(example.contains("\nlife = \"30d\"\n"));
    assert!(example.contains("\nbytes_per_mailbox = \"64MiB\"\n"));
    assert!(example.contains("\nexempt = []\n"));
    assert!(example.contains("\ndelivery = \"console\"\n"));
}

#[test]
fn the_example_has_every_key_once_and_every_section_in_one_piece() {
    let example = Config::example();
    let mut sections: Vec<_> = example.lines().filter(|line| line.starts_with('[')).collect();
    let all = sections.len();
    sections.sort_unstable();
    sections.dedup();
    assert_eq!(sections.len(), all);
    assert_eq!(example.parse::<toml::Table>().unwrap().len(), 12);
}

#[test]
fn every_key_says_when_a_change_takes_effect() {
    let example = Config::example();
    for line in Config::keys_as_json().lines() {
        let key: serde_json::Value = serde_json::from_str(line).unwrap();
        let explained = example.lines().find(|line| line.contains(key["about"].as_str().unwrap()));
        let restart = explained.unwrap().contains(" Needs a restart.");
        assert_eq!(key["change"], if restart { "restart" } else { "live" }, "{line}");
    }
    assert!(example.contains(" Needs a restart.\nlisten = "));
}

#[test]
fn every_quantity_has_a_range_and_every_default_lies_in_it() {
    for key in keys::KEYS {
        let mut config = Config::default();
        let shown: toml::Table = format!("x = {}", (key.show)(&config)).parse().unwrap();
        let value = &shown["x"];
        let is_quantity = value.is_integer()
            || kind::duration::read(value).is_ok()
            || kind::size::read::<u64>(value).is_ok();
        assert_eq!(key.range.is_some(), is_quantity, "{}", key.name);
        assert_eq!(key.set(&mut config, value), Ok(()), "{}", key.name);
    }
}

#[test]
fn a_file_sets_what_it_names() {
    let config = from_file(
        r#"
        [otp]
        delivery = "exec"
        exec.program = "/usr/local/bin/send-sms"
        exec.args = ["--from", "Waxwing, Ltd."]
        [limits]
        exempt = ["192.0.2.0/24"]
        bytes_per_pair = 1234
        letters_per_pair = 7
        [deadlines]
        packet = "250ms"
        "#,
    )
    .unwrap();
    assert_eq!(config.otp.delivery, DeliveryKind::Exec);
    assert_eq!(config.otp.exec.program, Path::new("/usr/local/bin/send-sms"));
    assert_eq!(config.otp.exec.args, ["--from", "Waxwing, Ltd."]);
    assert_eq!(config.limits.exempt, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(config.limits.bytes_per_pair, 1_234);
    assert_eq!(config.limits.letters_per_pair, 7);
    assert_eq!(config.deadlines.packet, Duration::from_millis(250));
    assert_eq!(config.letters, LetterConfig::default());
}

#[test]
fn flags_go_before_environment_before_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.toml");
    fs::write(&path, "log.level = \"warn\"\nlog.format = \"json\"\notp.ttl = \"1m\"").unwrap();
    let variables = environment(&[
        ("WAXWING_LOG__LEVEL", "debug"),
        ("WAXWING_LOG__FORMAT", "text"),
        ("WAXWING_LIMITS__EXEMPT", "10.0.0.0/8, ::1"),
        ("WAXWING_OTP__EXEC__QUEUE", "9"),
        ("WAXWING_OTP__ALLOW_UNVERIFIED", "true"),
        ("WAXWING_HOME", "/nowhere"),
        ("OTHER__THING", "7"),
    ]);
    let flag = Override { flag: "--log-level", key: "log.level", value: "trace".into() };
    let config = Config::load(Some(&path), variables, &[flag]).unwrap();
    assert_eq!((config.log.level, config.log.format), (LogLevel::Trace, LogFormat::Text));
    assert_eq!(config.otp.ttl, Duration::from_mins(1));
    assert_eq!(config.limits.exempt.len(), 2);
    assert_eq!(config.otp.exec.queue, 9);
    assert!(config.otp.allow_unverified);
}

#[test]
fn unknown_keys_are_refused_and_the_nearest_is_named() {
    for (text, wrong, meant) in [
        ("[otp]\ntll = \"1s\"", "otp.tll", "otp.ttl"),
        ("listen = \"[::1]:1\"", "listen", "server.listen"),
        (
            "[limits]\nletters_per_mailbx = 1",
            "limits.letters_per_mailbx",
            "limits.letters_per_mailbox",
        ),
        ("[logs]\nlevel = \"info\"", "logs.level", "log.level"),
        ("[otp.exe]\nprogram = \"x\"", "otp.exe.program", "otp.exec.program"),
        ("[otp.ttl]\nx = 1", "otp.ttl.x", "otp.ttl"),
    ] {
        let hint = format!("there is no key `{wrong}`; did you mean `{meant}`?");
        let error = refusal(text);
        assert!(error.ends_with(&hint), "{error}");
    }
    for (text, hint) in [
        ("[limit]", "there is no section [limit]; did you mean [limits]?"),
        ("[limts]\na = 1", "there is no section [limts]; did you mean [limits]?"),
        (
            "[people]\na = 1",
            "there is no section [people]; `waxwing-server config example` prints all",
        ),
        (
            "[limits]\na = 1",
            "there is no key `limits.a`; `waxwing-server config example` prints all",
        ),
        (
            "[limts]\nban_after = 1",
            "there is no key `limts.ban_after`; did you mean `limits.ban_after`?",
        ),
    ] {
        let error = refusal(text);
        assert!(error.contains(hint), "{error}");
    }
    assert!(refusal("otp = 3").ends_with("`otp` is a section, not a key"));
    let variables = environment(&[("WAXWING_OTP__TLL", "1s")]);
    let error = Config::load(None, variables, &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "environment variable WAXWING_OTP__TLL: there is no key `otp.tll`; \
         did you mean `otp.ttl`?"
    );
    let variables = environment(&[("WAXWING_OTP_RESEND_AFTER", "1s")]);
    let error = Config::load(None, variables, &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "environment variable WAXWING_OTP_RESEND_AFTER is none of ours; \
         did you mean WAXWING_OTP__RESEND_AFTER?"
    );
    let others = environment(&[("WAXWING_KEYLOG", "x"), ("WAXWING_CONFIG", "x"), ("LISTEN", "x")]);
    assert_eq!(Config::load(None, others, &[]).unwrap(), Config::default());
}

#[test]
fn values_of_the_wrong_kind_are_refused_with_the_way_to_write_them() {
    for (text, hint) in [
        ("otp.ttl = 300", "otp.ttl: \"300\" is no duration"),
        ("otp.ttl = \"5 minutes\"", "as in \"250ms\""),
        ("otp.ttl = \"-5s\"", "is no duration"),
        ("otp.ttl = \"99999999999999999999d\"", "is no duration"),
        ("limits.bytes_per_pair = \"4MB\"", "\"64MiB\""),
        ("limits.bytes_per_pair = -1", "is no size"),
        ("limits.letters_per_pair = \"many\"", "is no number"),
        ("limits.letters_per_pair = -1", "is no number"),
        ("otp.attempts = 256", "is no number that fits"),
        ("otp.allow_unverified = 1", "is neither true nor false"),
        ("otp.delivery = \"sms\"", "is none of \"in-band\", \"console\", \"exec\""),
        ("server.listen = \"localhost\"", "server.listen: \"localhost\": "),
        ("limits.exempt = [\"10.0.0.0/64\"]", "is no address and no range"),
        ("limits.exempt = 7", "is no list"),
        ("registration.countries = [\"49\"]", "\"49\": this is not how phone numbers begin"),
        ("registration.open = 1", "is neither true nor false"),
        ("otp.fallback = \"sms\"", "is none of"),
        (
            "otp.webhook.headers = [\"Bearer a\"]",
            "otp.webhook.headers: entry 1: a header is written as in",
        ),
        ("[otp", "TOML parse error at line 1"),
    ] {
        let error = refusal(text);
        assert!(error.contains(hint), "{text}: {error}");
        assert!(error.contains("waxwing.toml: "), "{text}: {error}");
    }
}

#[test]
fn a_server_listens_on_one_address_or_on_several() {
    let all = |addresses: &[&str]| -> Vec<std::net::SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    };
    for (text, addresses) in [
        ("\"[::1]:7\"", &["[::1]:7"][..]),
        ("[\"[::1]:7\"]", &["[::1]:7"]),
        ("[\"0.0.0.0:7\", \"[::]:7\"]", &["0.0.0.0:7", "[::]:7"]),
        ("\"127.0.0.1:7, 127.0.0.1:8\"", &["127.0.0.1:7", "127.0.0.1:8"]),
        ("[\"0.0.0.0:0\", \"127.0.0.1:0\"]", &["0.0.0.0:0", "127.0.0.1:0"]),
        ("\"[::ffff:192.0.2.1]:7\"", &["192.0.2.1:7"]),
        ("\"[fe80::1%3]:7\"", &["[fe80::1%3]:7"]),
    ] {
        let config = from_file(&format!("server.listen = {text}")).unwrap();
        assert_eq!(config.server.listen, all(addresses), "{text}");
        // What is shown is read again.
        let shown = (keys::find("server.listen").unwrap().show)(&config);
        assert_eq!(from_file(&format!("server.listen = {shown}")).unwrap(), config, "{shown}");
    }
    let many: Vec<_> = (1..=65).map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    from_file(&format!("server.listen = [{}]", many[1..].join(","))).unwrap();
    for (text, hint) in [
        ("[]", "name one address at least"),
        ("\"\"", "as in 127.0.0.1:9295"),
        ("[\"127.0.0.1:7\", \"\"]", "as in 127.0.0.1:9295"),
        ("[\"127.0.0.1:7\", 7]", "7 is no text in quotes"),
        ("7", "neither an address in quotes nor a list of them"),
        ("[\"127.0.0.1:7\", \"127.0.0.1:7\"]", "127.0.0.1:7 is named twice"),
        ("[\"127.0.0.1:7\", \"[::ffff:127.0.0.1]:7\"]", "127.0.0.1:7 is named twice"),
        ("[\"[::1]:7\", \"[::]:7\"]", "[::]:7 and [::1]:7 cannot be listened on together"),
        ("[\"0.0.0.0:7\", \"127.0.0.1:7\"]", "cannot be listened on together"),
        (&format!("[{}]", many.join(",")), "there are 65 addresses: name 64 at most"),
    ] {
        let error = refusal(&format!("server.listen = {text}"));
        assert!(error.contains("server.listen: ") && error.contains(hint), "{text}: {error}");
    }
}

#[test]
fn numbers_and_people_are_not_served_at_addresses_that_overlap() {
    let text = |listen: &str, metrics: &str| {
        format!("server.listen = [{listen}]\nmetrics.listen = \"{metrics}\"")
    };
    for (listen, metrics) in [
        ("\"[::]:7\", \"[::1]:8\"", "[::1]:8"),
        ("\"127.0.0.1:7\"", "0.0.0.0:7"),
        ("\"0.0.0.0:7\"", "127.0.0.1:7"),
        ("\"0.0.0.0:7\"", "[::ffff:127.0.0.1]:7"),
        ("\"[::1]:7\"", "[::]:7"),
        ("\"[::]:7\"", "[::1]:7"),
        ("\"[::]:7\"", "[::]:7"),
    ] {
        let error = refusal(&text(listen, metrics));
        assert!(error.contains("metrics.listen is an address of server.listen"), "{error}");
    }
    for (listen, metrics) in [
        ("\"0.0.0.0:7\"", "[::]:7"),
        ("\"[::]:7\"", "127.0.0.1:7"),
        ("\"127.0.0.1:7\"", "127.0.0.2:7"),
        ("\"0.0.0.0:7\"", "0.0.0.0:8"),
        ("\"127.0.0.1:0\"", "127.0.0.1:0"),
    ] {
        from_file(&text(listen, metrics)).unwrap();
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    for (text, hint) in [
        ("otp.delivery = \"exec\"", "needs otp.exec.program"),
        ("otp.fallback = \"exec\"", "needs otp.exec.program"),
        ("otp.delivery = \"webhook\"", "needs otp.webhook.url"),
        ("otp.fallback = \"console\"", "otp.fallback is the way of otp.delivery"),
        ("otp.delivery = \"in-band\"\notp.fallback = \"console\"", "otp.fallback: a code in band"),
        ("otp.fallback = \"in-band\"", "otp.fallback: a code in band"),
        ("otp.webhook.ca_file = \"a\\u0000b\"", "otp.webhook.ca_file"),
        ("otp.ttl = \"2d\"", "otp.ttl has to be"),
        ("otp.attempts = 0", "otp.attempts"),
        ("otp.exec.args = [\"a\\u0000b\"]", "otp.exec.args"),
        ("server.data = \"a\\u0000b\"", "server.data"),
        ("letters.max_size = \"64KiB\"", "letters.max_size"),
    ] {
        assert!(refusal(text).contains(hint), "{text}");
    }
}

#[test]
fn in_band_codes_for_everyone_have_to_be_allowed() {
    for (text, refused) in [
        ("server.listen = \"0.0.0.0:9295\"", true),
        ("server.listen = \"[::ffff:192.0.2.1]:9295\"", true),
        ("server.listen = \"[::ffff:127.0.0.1]:9295\"", false),
        ("server.listen = \"[::1]:0\"", false),
        ("server.listen = [\"[::1]:9295\", \"127.0.0.1:9295\"]", false),
        ("server.listen = [\"127.0.0.1:9295\", \"[::]:9295\"]", true),
        ("server.proxies = [\"127.0.0.1\"]", true),
        ("server.proxies = [\"127.0.0.1\"]\notp.allow_unverified = true", false),
        ("server.listen = \"0.0.0.0:9295\"\notp.allow_unverified = true", false),
        ("server.listen = \"0.0.0.0:9295\"\notp.delivery = \"console\"", false),
    ] {
        let text = match text.contains("otp.delivery") {
            true => text.to_owned(),
            false => format!("{text}\notp.delivery = \"in-band\""),
        };
        let verdict = from_file(&text).unwrap().check_serving();
        assert_eq!(verdict.is_err(), refused, "{text}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let error = Config::load(Some(Path::new("/no/such.toml")), [], &[]).unwrap_err();
    assert!(error.to_string().starts_with("/no/such.toml: "), "{error}");
}
