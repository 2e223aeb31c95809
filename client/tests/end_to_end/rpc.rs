//! Programs: JSON-RPC on standard input and output, and on a socket.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use crate::binaries;
use crate::keys::replace_key;
use crate::process::{Process, eventually};
use crate::test_server::{Person, TestServer, lines};

/// A program with a person's home.
struct Program {
    process: Process,
    calls: u64,
}

impl Program {
    fn start(person: &Person, more: &[&str]) -> Self {
        Self { process: person.start(&[&["rpc"], more].concat()), calls: 0 }
    }

    /// Asks for something, and says under which id.
    fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.calls += 1;
        let id = self.calls;
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.process.write(&format!("{line}\n"));
        id
    }

    #[track_caller]
    fn answer(&self, id: u64) -> Value {
        self.wait_for(|message| message["id"] == id)
    }

    #[track_caller]
    fn wait_for(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let find = |out: &str| {
            let whole = out.rfind('\n').map_or("", |end| &out[..end]);
            lines(whole).into_iter().find(|message| is_it(message))
        };
        find(&self.process.wait_for_out(|out| find(out).is_some())).unwrap()
    }

    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let mut answer = self.answer(id);
        assert!(answer["error"].is_null(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    /// Waits until the connection is in this state.
    #[track_caller]
    fn comes_to(&mut self, state: &str) {
        eventually(state, || {
            (self.call("hello", &json!({}))["connection"]["state"] == state).then_some(())
        });
    }

    /// The code and the words of an error.
    #[track_caller]
    fn fails(&mut self, method: &str, params: &Value) -> (i64, String) {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        let error = &answer["error"];
        assert!(error.is_object(), "{method} {params}: {answer}");
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

fn texts(letters: &Value) -> Vec<&str> {
    letters.as_array().unwrap().iter().map(|letter| letter["text"].as_str().unwrap()).collect()
}

#[test]
fn a_program_sends_once_under_a_key_and_gets_each_letter_until_it_is_done_with_it() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut program = Program::start(&anna, &[]);
    let hello = program.call("hello", &json!({ "api": 1 }));
    assert_eq!((&hello["api"], &hello["phone"]), (&1.into(), &anna.phone.as_str().into()));
    let once = json!({ "to": bert.phone, "text": "one", "key": "a 1" });
    let sent = program.call("send", &once);
    assert_eq!(program.call("send", &once), json!({ "uid": sent["uid"], "new": false }));
    let other = json!({ "to": bert.phone, "text": "another", "key": "a 1" });
    let (code, words) = program.fails("send", &other);
    assert!(code == 2 && words.contains("nothing was sent"), "{code} {words}");
    let two = json!({ "to": bert.phone, "text": "two" });
    assert_eq!(program.call("send", &two)["new"], true);
    // It ends when its letters are with the server.
    program.process.finish_without_input().exits(0);
    bert.receives(&["one", "two"]);

    bert.send(&anna, "three").exits(0);
    bert.send(&anna, "four").exits(0);
    let mut program = Program::start(&anna, &[]);
    let next = json!({ "consumer": "test", "begin": "oldest", "limit": 1, "wait_s": 60 });
    let first = program.call("next", &next);
    assert_eq!(texts(&first), ["three"]);
    assert_eq!(
        (&first[0]["from"], &first[0]["request"]),
        (&bert.phone.as_str().into(), &false.into())
    );
    program.process.kill();
    let mut program = Program::start(&anna, &[]);
    assert_eq!(program.call("next", &next), first);
    let ack = json!({ "consumer": "test", "id": first[0]["id"] });
    assert_eq!(program.call("ack", &ack), json!({ "new": true }));
    assert_eq!(program.call("ack", &ack), json!({ "new": false }));
    let second = program.call("next", &next);
    assert_eq!(texts(&second), ["four"]);
    program.call("ack", &json!({ "consumer": "test", "id": second[0]["id"] }));
    // It waits, and others are served meanwhile.
    let waiting = program.ask("next", &next);
    let status = eventually("its status", || {
        let status = program.call("status", &json!({ "uid": sent["uid"] }));
        (status["status"] == "delivered").then_some(status)
    });
    assert_eq!(status["to"], bert.phone.as_str());
    bert.send(&anna, "five").exits(0);
    assert_eq!(texts(&program.answer(waiting)["result"]), ["five"]);
    assert_eq!(program.call("next", &json!({ "consumer": "new" })), json!([]));
    let found = program.call("search", &json!({ "text": "FIV", "with": bert.phone }));
    assert_eq!(texts(&found), ["five"]);
    let page = program.call("history", &json!({ "with": bert.phone, "limit": 2 }));
    assert_eq!(texts(&page), ["four", "five"]);
    let before = json!({ "with": bert.phone, "limit": 1, "before": page[0]["id"] });
    assert_eq!(texts(&program.call("history", &before)), ["three"]);
    // One that does not come back is removed, and who waits for it hears of that.
    let names = |consumers: &Value| -> Vec<String> {
        let consumers = consumers.as_array().unwrap().iter();
        consumers.map(|one| one["consumer"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&program.call("consumers", &json!({}))), ["new", "test"]);
    let waiting = program.ask("next", &json!({ "consumer": "new", "wait_s": 60 }));
    let removed = program.call("remove_consumer", &json!({ "consumer": "new" }));
    assert_eq!(removed, json!({ "removed": true }));
    assert_eq!(program.answer(waiting)["error"]["code"], 2);
    assert_eq!(names(&program.call("consumers", &json!({}))), ["test"]);
    program.process.finish_without_input().exits(0);
    anna.run(&["consumers"]).exits(0).says("test  1 letter waits");
    anna.run(&["consumers", "remove", "new", "--yes"]).exits(1).says("no consumer new");
    anna.run(&["consumers", "remove", "test", "--yes"]).exits(0);
    assert_eq!(anna.run(&["consumers", "--json"]).exits(0).out, "");
    // What a program gets is not read by that.
    anna.receives(&["three", "four", "five"]);
}

#[test]
fn whatever_is_no_request_has_its_error_and_the_next_one_its_answer() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut program = Program::start(&anna, &[]);
    let longest = 1_024 * 1_024;
    let padded = |len: usize| {
        let head = r#"{"jsonrpc":"2.0","id":"long","method":"hello","params":{}"#;
        format!("{head}{}}}\n", " ".repeat(len - head.len() - 2))
    };
    program.process.write(&padded(longest));
    program.wait_for(|message| message["id"] == "long" && message["result"].is_object());
    for (bytes, code) in [
        (padded(longest + 1).into_bytes(), -32_600),
        (b"{\n".to_vec(), -32_700),
        (b"\xff\xfe\0\n".to_vec(), -32_700),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}]\n".to_vec(), -32_600),
        (b"\"hello\"\n".to_vec(), -32_600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"hello\"}\n".to_vec(), -32_600),
    ] {
        let count = |out: &str| out.matches(&format!("\"code\":{code},")).count();
        let before = count(&program.process.out());
        program.process.write_bytes(&bytes);
        program.process.wait_for_out(|out| count(out) > before);
    }
    let long = "x".repeat(61_135);
    for (method, params, code, help) in [
        ("sned", json!({}), -32_601, "send is the nearest"),
        ("fly", json!({}), -32_601, "there is no such method. `waxwing rpc --schema`"),
        ("send", json!({ "to": bert.phone }), -32_602, "text is missing"),
        ("send", json!({ "to": 7, "text": "x" }), -32_602, "to: it is a text"),
        ("send", json!({ "to": bert.phone, "text": long }), -32_602, "at most"),
        ("send", json!({ "to": bert.phone, "txt": "x" }), -32_602, "text is the nearest"),
        ("send", json!({ "to": bert.phone, "text": " \u{200b}" }), 2, "nothing to read"),
        ("send", json!({ "to": bert.phone, "text": "a\u{0}" }), 2, "zero bytes"),
        ("send", json!({ "to": anna.phone, "text": "x" }), 2, "this home itself"),
        ("send", json!({ "to": "nobody", "text": "x" }), 2, "nobody in this home"),
        ("send", json!({ "to": "+49", "text": "x" }), 2, "7 to 15 digits"),
        ("next", json!({ "consumer": "a", "limit": 0 }), -32_602, "from 1 to 256"),
        ("next", json!({ "consumer": "" }), -32_602, "consumer: it is empty"),
        ("next", json!({ "consumer": " " }), -32_602, "consumer: it is empty"),
        ("ack", json!({ "consumer": "", "id": 1 }), -32_602, "consumer: it is empty"),
        ("send", json!({ "to": bert.phone, "text": "x", "key": "" }), -32_602, "key: it is empty"),
        ("ack", json!({ "consumer": "nobody", "id": 1 }), 2, "no such consumer"),
        ("status", json!({ "uid": "x" }), 2, "32 hexadecimal digits"),
        ("set", json!({ "with": bert.phone, "name": "+49" }), 2, "phone number"),
        ("verify", json!({ "with": bert.phone }), 4, "--allow-trust"),
        ("accept_key", json!({ "with": bert.phone, "number": "1" }), 4, "--allow-trust"),
    ] {
        let (found, words) = program.fails(method, &params);
        assert!(found == code && words.contains(help), "{method} {params}: {found} {words}");
    }
    assert_eq!(program.call("consumers", &json!({})), json!([]));
    program.call("next", &json!({ "consumer": "a" }));
    let (found, words) = program.fails("ack", &json!({ "consumer": "a", "id": 1 }));
    assert!(found == 2 && words.contains("no letter has come"), "{found} {words}");
    // Nothing of it was taken, nor is half a line at the end.
    program
        .process
        .write("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"send\",\"params\":{\"to\":\"");
    let ran = program.process.finish_without_input().exits(0);
    assert!(lines(&ran.out).last().unwrap()["error"]["code"] == -32_700, "{ran:?}");
    bert.receives_nothing();
}

#[test]
fn a_program_is_told_of_letters_of_what_becomes_of_its_own_and_of_keys_that_change() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut program = Program::start(&anna, &["--allow-trust"]);
    program.call("subscribe", &json!({}));
    let told = |program: &Program, method: &str, name: &str, value: &Value| {
        program
            .wait_for(|message| message["method"] == method && message["params"][name] == *value);
    };
    told(&program, "connection", "state", &"up".into());
    let uid = program.call("send", &json!({ "to": bert.phone, "text": "hello" }))["uid"].clone();
    told(&program, "status", "status", &"stored".into());
    bert.receives(&["hello"]);
    program.wait_for(|message| {
        message["params"]["uid"] == uid && message["params"]["status"] == "delivered"
    });
    bert.send(&anna, "an answer").exits(0);
    told(&program, "letter", "text", &"an answer".into());
    let named = program.call("set", &json!({ "with": bert.phone, "name": "Bert", "pinned": true }));
    assert_eq!((&named["name"], &named["pinned"]), (&"Bert".into(), &true.into()));
    assert_eq!(program.call("contacts", &json!({}))[0]["name"], "Bert");

    let key = program.call("verify", &json!({ "with": "Bert" }));
    assert_eq!(key["verified"], false);
    let compared = json!({ "with": "Bert", "number": key["number"] });
    assert_eq!(program.call("verify", &compared)["verified"], true);
    // The server gives out another key.
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    let true_key = replace_key(&mut server, &bert, &false_key);
    bert.run(&["receive"]).exits(3);
    let key = eventually("the server's word", || {
        let key = program.call("verify", &json!({ "with": "Bert" }));
        (key["fresh"] == true).then_some(key)
    });
    told(&program, "key_changed", "phone", &bert.phone.as_str().into());
    program.call("send", &json!({ "to": "Bert", "text": "held back" }));
    let wrong = json!({ "with": "Bert", "number": key["number"] });
    assert_eq!(program.fails("accept_key", &wrong).0, 4);
    let right = json!({ "with": "Bert", "number": key["changed_number"] });
    assert_eq!(program.call("accept_key", &right)["changed_number"], Value::Null);
    program.process.finish_without_input().exits(0);
    replace_key(&mut server, &bert, &true_key);
}

#[test]
fn a_program_whose_session_was_taken_over_connects_when_it_asks_for_that() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut program = Program::start(&anna, &[]);
    program.call("subscribe", &json!({ "events": ["connection"] }));
    let is_state = |state: &'static str| {
        move |message: &Value| {
            message["method"] == "connection" && message["params"]["state"] == state
        }
    };
    program.wait_for(is_state("up"));
    // With a connection, it changes nothing, however often it is called.
    for _ in 0..3 {
        assert_eq!(program.call("connect", &json!({})), json!({}));
    }
    let copy = server.copy_of(&anna);
    let following = copy.start(&["receive", "--follow", "--json"]);
    let lost = program.wait_for(is_state("down"));
    let why = lost["params"]["why"].as_str().unwrap();
    assert!(why.contains("took over") && why.contains("End one of the two"), "{why}");
    bert.send(&copy, "to the copy").exits(0);
    following.wait_for_out(|out| out.contains("to the copy"));
    program.call("connect", &json!({}));
    following.finish().exits(3).says("took over");
    program.comes_to("up");
    bert.send(&anna, "to the program").exits(0);
    let next = json!({ "consumer": "c", "begin": "oldest", "wait_s": 60 });
    assert_eq!(texts(&program.call("next", &next)), ["to the program"]);
    program.process.finish_without_input().exits(0);
}

/// Whoever watches the holder of the session would take it back otherwise, as soon as the holder lets it go.
#[test]
fn no_process_of_a_home_takes_a_session_back_by_itself_and_one_that_is_asked_brings_all_back() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut programs = [(); 2].map(|()| Program::start(&anna, &[]));
    for program in &mut programs {
        program.comes_to("up");
    }
    let following = anna.start(&["receive", "--follow", "--json"]);
    anna.send(&bert, "all is well").exits(0);
    let copy = server.copy_of(&anna);
    let copied = copy.start(&["receive", "--follow", "--json"]);
    for program in &mut programs {
        program.comes_to("down");
        let why = program.call("hello", &json!({}))["connection"]["why"].clone();
        assert!(why.as_str().unwrap().contains("took over"), "{why}");
    }
    following.finish().exits(3).says("took over");
    bert.send(&copy, "to the copy").exits(0);
    copied.wait_for_out(|out| out.contains("to the copy"));

    programs[1].call("connect", &json!({}));
    copied.finish().exits(3).says("took over");
    for program in &mut programs {
        program.comes_to("up");
    }
    // A command that a person gives takes it back, too.
    let copied = copy.start(&["receive", "--follow"]);
    for program in &mut programs {
        program.comes_to("down");
    }
    anna.send(&bert, "here again").exits(0);
    copied.finish().exits(3).says("took over");
    for mut program in programs {
        program.comes_to("up");
        program.process.finish_without_input().exits(0);
    }
}

#[test]
fn errors_have_the_codes_that_the_document_names() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.run(&["block", &bert.phone]).exits(0);
    let mut program = Program::start(&anna, &[]);
    for (method, params, code) in [
        ("sent", json!({}), -32_601),
        ("send", json!({ "to": bert.phone }), -32_602),
        ("send", json!({ "to": bert.phone, "text": 5 }), -32_602),
        ("send", json!({ "to": bert.phone, "text": "a", "kye": "b" }), -32_602),
        ("next", json!({ "consumer": "c", "limit": 0 }), -32_602),
        ("send", json!({ "to": "nobody", "text": "a" }), 2),
        ("send", json!({ "to": "+4915112345603", "text": "\u{200b}" }), 2),
        ("send", json!({ "to": bert.phone, "text": "a" }), 1),
        ("set", json!({ "with": "+4915112345603", "mute_s": 60 }), 1),
        ("verify", json!({ "with": bert.phone }), 4),
        ("hello", json!({ "account": "none" }), 78),
    ] {
        let (found, why) = program.fails(method, &params);
        assert_eq!(found, code, "{method} {params}: {why}");
    }
    program.process.finish_without_input().exits(0);
}

#[test]
fn letters_that_were_discarded_are_told_of_on_standard_error() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let discard = "INSERT INTO discarded (quota, letters) VALUES ('stranger', 7)";
    assert_eq!(anna.database().execute(discard, []).unwrap(), 1);
    let mut program = Program::start(&anna, &[]);
    program.call("hello", &json!({}));
    program.process.wait_for_err("7 letters were discarded");
    program.process.finish_without_input().exits(0);
}

#[test]
fn every_call_has_an_answer_when_the_input_ends() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    let mut program = Program::start(&anna, &["--allow-trust"]);
    let next = program.ask("next", &json!({ "consumer": "c", "wait_s": 3_600 }));
    let key = program.ask("verify", &json!({ "with": bert.phone }));
    assert_eq!(program.fails("verify", &json!({ "with": anna.phone })).0, 2);
    program.call("hello", &json!({}));
    let ran = program.process.finish_without_input().exits(0);
    let answers = lines(&ran.out);
    let answer = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answer(next)["result"], json!([]));
    assert_eq!(answer(key)["result"]["phone"], bert.phone.as_str());
}

#[test]
fn a_program_that_does_not_read_takes_no_memory_and_stops_no_letter() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    bert.send(&anna, &"long ".repeat(10_000)).exits(0);
    anna.run(&["receive"]).exits(0);
    let mut command = anna.command(&["rpc"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "history", "params": { "with": bert.phone }
    });
    // It asks for gigabytes, and reads nothing.
    let asking = thread::spawn(move || {
        for _ in 0..1_000_000 {
            if writeln!(input, "{request}").is_err() {
                return;
            }
        }
    });
    bert.run(&["send", &anna.phone, "and this", "--wait", "delivered"]).exits(0);
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let mut before = 0;
    eventually("its memory stays as it is", || {
        let now = memory();
        let is_same = now == std::mem::replace(&mut before, now);
        is_same.then_some(())
    });
    assert!(memory() < 64 * 1_024, "{} KiB", memory());
    kill_process(Pid::from_child(&program), Signal::TERM).unwrap();
    program.wait().unwrap();
    asking.join().unwrap();
}

#[test]
fn programs_of_this_user_are_served_on_a_socket_side_by_side() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let path = anna.home.join("rpc.sock");
    let name = path.to_str().unwrap();
    let serving = anna.start(&["rpc", "--socket", name]);
    let connect = || eventually("the socket", || UnixStream::connect(&path).ok());
    let call = |stream: &UnixStream, method: &str, params: &Value| -> Value {
        let mut stream = stream;
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["result"].take()
    };
    let (one, other) = (connect(), connect());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(call(&one, "hello", &json!({}))["api"], 1);
    assert_eq!(call(&other, "send", &json!({ "to": bert.phone, "text": "hi" }))["new"], true);
    drop(one);
    assert_eq!(call(&other, "next", &json!({ "consumer": "a" })), json!([]));
    anna.run(&["rpc", "--socket", name]).exits(78).says("another process listens there");
    bert.run(&["receive", "--timeout", "60"]).exits(0);
    // What a process that was killed has left is no obstacle.
    serving.kill();
    let serving = anna.start(&["rpc", "--socket", name]);
    let stream = eventually("a new socket", || UnixStream::connect(&path).ok());
    assert_eq!(call(&stream, "hello", &json!({}))["api"], 1);
    serving.signal(Signal::TERM);
    let mut rest = Vec::new();
    (&stream).read_to_end(&mut rest).unwrap();
    serving.finish().exits(0);
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    anna.run(&["rpc", "--socket", name]).exits(78).says("something else");
}

#[test]
fn one_program_works_in_several_accounts() {
    let server = TestServer::new();
    let root = tempfile::tempdir().unwrap();
    let (address, key) = (server.address().to_string(), server.public_key());
    let command = |args: &[&str]| {
        let mut command = Command::new(binaries::client());
        command.args(args).env("XDG_DATA_HOME", root.path()).env("XDG_CONFIG_HOME", "/nonexistent");
        command
    };
    let run = |args: &[&str]| Process::start(&mut command(args)).finish_without_input();
    let (main, work) = ("+4915112345601", "+4915112345602");
    run(&["accounts", "add", "work"]).exits(0);
    run(&["accounts", "add", "empty"]).exits(0);
    for (account, phone) in [("main", main), ("work", work)] {
        let key = key.to_str().unwrap();
        let register = ["register", "--server", &address, "--server-key", key, phone];
        run(&[&["--account", account], &register[..]].concat()).exits(0);
    }
    let mut program = Program { process: Process::start(&mut command(&["rpc"])), calls: 0 };
    program.call("subscribe", &json!({ "account": "work", "events": ["letter"] }));
    for (account, phone) in [(None, main), (Some("main"), main), (Some("work"), work)] {
        assert_eq!(program.call("hello", &json!({ "account": account }))["phone"], phone);
    }
    program.call("send", &json!({ "to": work, "text": "from main" }));
    program.wait_for(|message| {
        let params = &message["params"];
        params["text"] == "from main" && params["account"] == "work"
    });
    let next = json!({ "account": "work", "consumer": "c", "begin": "oldest" });
    assert_eq!(texts(&program.call("next", &next)), ["from main"]);
    for (account, code, help) in [
        (json!("none"), 78, "there is no account none"),
        (json!("empty"), 1, "nobody is registered"),
        (json!("../x"), 2, "letters a to z"),
        (json!(7), -32_602, "account: it is a text"),
    ] {
        let (found, words) = program.fails("hello", &json!({ "account": account }));
        assert!(found == code && words.contains(help), "{account}: {found} {words}");
    }
    // What was sent in any of them is with the server when the program ends.
    program.ask("send", &json!({ "account": "work", "to": main, "text": "from work" }));
    program.process.finish_without_input().exits(0);
    run(&["receive"]).exits(0).says("from work");
}

#[test]
fn the_schema_names_every_method_and_what_it_takes() {
    let server = TestServer::new();
    let anna = server.newcomer("anna", "+4915112345601");
    let schema: Value = serde_json::from_str(&anna.run(&["rpc", "--schema"]).exits(0).out).unwrap();
    let methods = schema["methods"].as_array().unwrap();
    let send = methods.iter().find(|method| method["name"] == "send").unwrap();
    let required: Vec<_> = send["params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|param| (param["name"].as_str().unwrap(), param["required"].as_bool().unwrap()))
        .collect();
    assert_eq!(required, [("to", true), ("text", true), ("key", false), ("account", false)]);
    let document = fs::read_to_string("../docs/RPC.md").unwrap();
    for method in methods {
        let name = method["name"].as_str().unwrap();
        assert!(document.contains(&format!("`{name}`")), "{name} is not in docs/RPC.md");
    }
}
