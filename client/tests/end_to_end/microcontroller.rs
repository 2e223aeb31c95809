//! The firmware in QEMU, a board without an operating system, against the real server and client.
//!
//! `firmware/run` builds the images of each board and runs this. `WAXWING_FIRMWARE_BOARD` is the
//! board's name. `WAXWING_FIRMWARE` is the image that has to be given its key, and
//! `WAXWING_FIRMWARE_KEYGEN` the one that makes it, if the board has room for that.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use waxwing_core::testing::keys;

use crate::process::Process;
use crate::proxy::{Proxy, Way};
use crate::test_server::{Person, TestServer};

const PHONE: &str = "+4915112345603";

fn set(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"))
}

/// What stays of a board without power: its flash, which is a directory of files.
struct Board {
    flash: PathBuf,
    /// Where it finds the server.
    line: SocketAddr,
    peer: String,
    /// Everything that it ever wrote on its console.
    console: String,
}

impl Board {
    fn new(server: &TestServer, line: &Proxy, peer: &Person) -> Self {
        let flash = server.data().with_file_name("flash");
        fs::create_dir(&flash).unwrap();
        let pem = fs::read(server.public_key()).unwrap();
        let (_, der) = pem_rfc7468::decode_vec(&pem).unwrap();
        fs::write(flash.join("server.der"), der).unwrap();
        let console = String::new();
        Self { flash, line: line.address(), peer: peer.phone.clone(), console }
    }

    fn start(&self, image: &OsStr, plan: &str) -> On {
        step(&format!("power on: {plan}"));
        let plan = format!("own={PHONE} peer={} {plan}", self.peer);
        let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/qemu");
        let process = Process::start(
            Command::new(qemu)
                .arg(set("WAXWING_FIRMWARE_BOARD"))
                .arg(image)
                .args(plan.split(' '))
                .env("WAXWING_SERVER", self.line.to_string())
                .current_dir(&self.flash),
        );
        On { process, transcript: Transcript::default() }
    }

    /// Switches it on, with the key that it has.
    fn power_on(&self, plan: &str) -> On {
        self.start(&set("WAXWING_FIRMWARE"), plan)
    }

    fn power_off(&mut self, on: On) {
        self.keep(on.transcript, &on.process.kill().err);
        step("power off");
    }

    /// It ends by itself, with success, and tells how much memory it used.
    #[track_caller]
    fn leaves(&mut self, on: On) -> Used {
        let ran = on.process.finish().exits(0);
        self.keep(on.transcript, &ran.err);
        let bytes = |what: &str| {
            let line =
                ran.err.lines().find_map(|line| line.strip_prefix(what)?.strip_suffix(" bytes"));
            line.unwrap_or_else(|| panic!("no {what:?} in {ran:?}")).parse().unwrap()
        };
        Used { stack: bytes("stack: at most "), heap: bytes("heap: at most ") }
    }

    /// It ends by itself at once, and says why.
    #[track_caller]
    fn fails(&self, why: &str) {
        let ran = self.power_on("letters=0").process.finish().exits(1);
        assert!(ran.err.contains(why), "{}", ran.err);
    }

    /// From the next write on, its flash takes nothing.
    fn damage_flash(&self) -> DamagedPage {
        step("its flash takes nothing any more");
        let counter = |page: &PathBuf| {
            let counter = fs::read(page).unwrap()[..4].try_into().unwrap();
            u32::from_le_bytes(counter)
        };
        // The older page is written next.
        let pages = ["memory-0", "memory-1"].map(|page| self.flash.join(page));
        let page = pages.into_iter().min_by_key(counter).unwrap();
        fs::remove_file(&page).unwrap();
        fs::create_dir(&page).unwrap();
        DamagedPage(page)
    }

    fn keep(&mut self, mut transcript: Transcript, console: &str) {
        transcript.show(console);
        self.console.push_str(console);
    }

    /// How often it wrote a line, over its whole life.
    fn said(&self, what: &str) -> usize {
        self.console.lines().filter(|line| *line == what).count()
    }
}

/// A page that cannot be written.
struct DamagedPage(PathBuf);

impl DamagedPage {
    fn mend(self) {
        step("its flash can be written again");
        fs::remove_dir(self.0).unwrap();
    }
}

/// A board with power.
struct On {
    process: Process,
    transcript: Transcript,
}

impl On {
    /// Waits for it to say something.
    #[track_caller]
    fn says(&mut self, what: &str) {
        self.says_one_of([what]);
    }

    #[track_caller]
    fn says_one_of<const N: usize>(&mut self, what: [&str; N]) {
        let console = self.process.wait_for_one_in_err(&what);
        self.transcript.show(&console);
    }
}

/// Prints a console as it grows, so that it stands between the steps where it belongs.
#[derive(Default)]
struct Transcript {
    shown: usize,
}

impl Transcript {
    fn show(&mut self, console: &str) {
        let end = console.rfind('\n').map_or(0, |at| at + 1);
        for line in console[self.shown..end].lines() {
            println!("    {line}");
        }
        self.shown = end;
    }
}

struct Used {
    stack: usize,
    heap: usize,
}

/// What a board needs at most of each.
const MEMORY: usize = 16 * 1_024;

impl Used {
    #[track_caller]
    fn fits(&self) {
        assert!(self.stack <= MEMORY, "{} bytes of stack", self.stack);
        assert!(self.heap <= MEMORY, "{} bytes of heap", self.heap);
    }
}

fn step(what: &str) {
    println!("- {what}");
}

#[test]
#[ignore = "needs QEMU and images of the firmware: firmware/run"]
fn a_board_registers_and_chats_and_comes_back_whatever_happens_to_it() {
    let mut server = TestServer::new();
    let line = Proxy::before(server.address());
    let bert = server.person("bert", "+4915112345602");
    let device = server.newcomer("nobody", PHONE);
    let mut board = Board::new(&server, &line, &bert);

    says_what_is_wrong_with_a_key(&board, &server);
    registers(&mut board, &line, &server);
    reads_what_came_while_it_was_off(&mut board, &bert, &device);
    talks(&mut board, &bert, &device);
    loses_power_while_letters_arrive(&mut board, &line, &bert, &device);
    loses_the_server(&mut board, &mut server, &bert, &device);
    shows_nothing_that_its_flash_has_not_taken(&mut board, &bert, &device);
    let carl = server.person("carl", "+4915112345604");
    turns_a_stranger_away(&mut board, &carl, &device);
    keeps_its_letter_when_its_peer_has_gone(&mut board, &mut server, [&bert, &carl], &device);
    let before = ["good morning", "live", "after it", "one", "two"];
    let since = ["the server is back", "not yet", "I am back"];
    for letter in before.iter().chain(&since) {
        assert_eq!(board.said(&format!("letter: {letter}")), 1, "{letter}: {}", board.console);
    }
}

fn says_what_is_wrong_with_a_key(board: &Board, server: &TestServer) {
    step("it is given a key that is cut short, and then a key of the server in PEM");
    let own = keys::pkcs8_der(7);
    let [own_key, server_key] = ["key.der", "server.der"].map(|name| board.flash.join(name));
    fs::write(&own_key, &own[..own.len() - 1]).unwrap();
    board.fails("`key.der`: the key is incomplete: the bytes end before it does\n");
    fs::write(&own_key, own).unwrap();
    let right = fs::read(&server_key).unwrap();
    fs::copy(server.public_key(), &server_key).unwrap();
    board.fails("`server.der`: the key is in PEM, and DER is wanted");
    fs::write(server_key, right).unwrap();
    fs::remove_file(own_key).unwrap();
}

/// The answer to its proof of the code is lost once, when the server has the account already.
fn registers(board: &mut Board, line: &Proxy, server: &TestServer) {
    line.cut(Way::ToClient, 201);
    if let Some(image) = std::env::var_os("WAXWING_FIRMWARE_KEYGEN") {
        let mut on = board.start(&image, "letters=0");
        on.says("making a key\n");
        board.leaves(on).fits();
        assert_eq!(board.said("making a key"), 1);
    } else {
        step("it is given a key");
        fs::write(board.flash.join("key.der"), keys::pkcs8_der(7)).unwrap();
        let mut on = board.power_on("letters=0");
        on.says("proving the code\n");
        crate::process::eventually("a lost answer", || line.has_cut().then_some(()));
        board.power_off(on);
        let on = board.power_on("letters=0");
        board.leaves(on).fits();
    }
    assert!(line.has_cut());
    assert_eq!(board.said("proving the code"), 2);
    assert_eq!(board.said("registered"), 1);
    // Its own clock begins in 1970.
    let year = jiff::ZonedDateTime::now().year().to_string();
    let clock = board.console.lines().find(|line| line.contains("the clock says ")).unwrap();
    assert!(clock.contains(&year), "{clock}");
    server.administer(&["users", "list", "--full"]).exits(0).says(PHONE);
}

fn reads_what_came_while_it_was_off(board: &mut Board, bert: &Person, device: &Person) {
    step("a letter is sent to it");
    bert.send(device, "good morning").exits(0);
    assert_eq!(bert.statuses(device), ["stored"]);
    let on = board.power_on("letters=1");
    board.leaves(on).fits();
    assert_eq!(board.said("a letter of somebody unknown waits"), 1);
    assert_eq!(board.said("key of +49…02 pinned"), 1);
    bert.receives_nothing();
    assert_eq!(bert.statuses(device), ["delivered"]);
}

fn talks(board: &mut Board, bert: &Person, device: &Person) {
    let mut on = board.power_on("letters=3 send=hello from the board");
    on.says("own letter: sent\n");
    on.says("own letter: stored\n");
    step("its letter is received");
    bert.receives(&["hello from the board"]);
    on.says("own letter: delivered\n");
    step("a letter, one that is too large for it, and another are sent to it");
    bert.send(device, "live").exits(0);
    on.says("letter: live\n");
    bert.send(device, &"x".repeat(9_000)).exits(0);
    bert.send(device, "after it").exits(0);
    board.leaves(on).fits();
    assert!(board.console.contains("bytes is too large to keep\nletter: after it\n"));
    bert.receives_nothing();
    assert_eq!(bert.statuses(device), ["delivered"; 4]);
}

fn loses_power_while_letters_arrive(
    board: &mut Board,
    line: &Proxy,
    bert: &Person,
    device: &Person,
) {
    step("two letters are sent to it, and the line stops in the middle of the first");
    bert.send(device, "one").exits(0);
    bert.send(device, "two").exits(0);
    line.silence_inside(Way::ToClient, 102, 100);
    let mut on = board.power_on("letters=2");
    on.says("in a session");
    crate::process::eventually("half a letter", || line.has_cut().then_some(()));
    board.power_off(on);
    step("this time it stops after it has shown the first, before it acknowledges");
    let mut on = board.power_on("letters=2 freeze=1");
    on.says("frozen before the acknowledgment\n");
    board.power_off(on);
    assert_eq!((board.said("letter: one"), board.said("letter: two")), (1, 0));
    let on = board.power_on("letters=2");
    board.leaves(on).fits();
    assert_eq!(board.said("a letter came again"), 1);
    bert.receives_nothing();
    assert_eq!(bert.statuses(device), ["delivered"; 6]);
}

fn loses_the_server(board: &mut Board, server: &mut TestServer, bert: &Person, device: &Person) {
    let mut on = board.power_on("letters=1 probe_ms=2000");
    on.says("in a session");
    step("the server is killed");
    server.kill();
    // Nothing on a serial line says so.
    on.says_one_of(["lost: the server does not answer\n", "lost: the line is over\n"]);
    step("the server is started again, and a letter is sent");
    server.start();
    bert.send(device, "the server is back").exits(0);
    board.leaves(on).fits();
}

fn shows_nothing_that_its_flash_has_not_taken(board: &mut Board, bert: &Person, device: &Person) {
    bert.send(device, "not yet").exits(0);
    let page = board.damage_flash();
    let mut on = board.power_on("letters=1");
    on.says("lost: the flash does not take it\n");
    assert!(!on.process.err().contains("letter: "), "{}", on.process.err());
    assert_eq!(bert.statuses(device).last().unwrap(), "stored");
    page.mend();
    board.leaves(on).fits();
    bert.receives_nothing();
    assert_eq!(bert.statuses(device).last().unwrap(), "delivered");
}

fn turns_a_stranger_away(board: &mut Board, carl: &Person, device: &Person) {
    step("somebody writes to it that it does not talk with");
    carl.send(device, "who are you").exits(0);
    let on = board.power_on("letters=1");
    board.leaves(on).fits();
    assert_eq!(board.said("a letter of +49…04 is not for this device"), 1);
    carl.receives_nothing();
    assert_eq!(carl.statuses(device), ["delivered"]);
}

fn keeps_its_letter_when_its_peer_has_gone(
    board: &mut Board,
    server: &mut TestServer,
    [bert, carl]: [&Person; 2],
    device: &Person,
) {
    const KEPT: &str = "refused: UnknownUser\nown letter: kept for the next session\n";
    step("the account of its peer is removed");
    server.stop();
    server.administer(&["users", "remove", "--yes", &bert.phone]).exits(0);
    server.start();
    let mut on = board.power_on("send=are you there");
    on.says("refused: UnknownRecipient\n");
    // It has asked whether the phone has a new account, and does not insist.
    on.says(KEPT);
    step("something else happens meanwhile");
    carl.send(device, "who are you, again").exits(0);
    on.says("a letter of +49…04 is not for this device\n");
    board.power_off(on);
    assert_eq!(board.said("refused: UnknownRecipient"), 1);
    assert_eq!(board.said("refused: UnknownUser"), 1);
    let mut on = board.power_on("letters=1 send=this has to wait");
    on.says("the text is not taken: an earlier letter has yet to be delivered\n");
    on.says(KEPT);
    step("its peer registers again and writes, and this session comes to an end");
    bert.register().exits(0);
    let page = board.damage_flash();
    bert.send(device, "I am back").exits(0);
    on.says("lost: the flash does not take it\n");
    page.mend();
    on.says("own letter: stored\n");
    bert.receives(&["are you there"]);
    board.leaves(on).fits();
}
