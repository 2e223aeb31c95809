//! No core dumps of processes that hold keys.

use std::fs;

use crate::process::Process;
use crate::test_server::TestServer;

/// Soft and hard limit of a core dump, in bytes or `unlimited`.
fn core_limits(process: &Process) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let mut words = line.split_whitespace().skip(4);
    [(); 2].map(|()| words.next().unwrap().to_owned())
}

#[test]
fn neither_the_server_nor_a_client_can_dump_its_memory() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let receiving = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "hello").exits(0);
    receiving.wait_for_out(|out| out.contains("hello"));
    for process in [server.process(), &receiving] {
        // 0 only where a process may not even ask for 1.
        let limits = core_limits(process);
        assert!(limits.iter().all(|limit| matches!(&**limit, "0" | "1")), "{limits:?}");
    }
}
