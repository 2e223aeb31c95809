//! No core dumps of processes that hold keys.

use std::fs;

use crate::process::Process;
use crate::town::Town;

/// Soft and hard limit of a core dump, in bytes or `unlimited`.
fn core_limits(process: &Process) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let mut words = line.split_whitespace().skip(4);
    [(); 2].map(|()| words.next().unwrap().to_owned())
}

#[test]
fn neither_the_server_nor_a_client_can_dump_its_memory() {
    let town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    let receiving = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "hello").exits(0);
    receiving.wait_for_out(|out| out.contains("hello"));
    for process in [town.server(), &receiving] {
        // 0 only where a process may not even ask for 1.
        let limits = core_limits(process);
        assert!(limits.iter().all(|limit| matches!(&**limit, "0" | "1")), "{limits:?}");
    }
}
