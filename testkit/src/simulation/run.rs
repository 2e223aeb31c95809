//! A run: one decision after the other, and what it leads to.

use std::collections::BTreeSet;
use std::time::Duration;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::{Config, LetterState};
use waxwing_core::wire::{ErrorCode, Status};

use super::Options;
use super::dice::Dice;
use super::hostile::Hostile;
use super::ledger::{Device, Ledger};
use super::network::Network;
use super::strangers::Strangers;
use crate::backend::Paper;
use crate::packets::id_of;
use crate::person::{Person, Said};
use crate::world::Sim;

const PAIR_LETTERS: u32 = 12;
/// So that there are some in the seconds that pass.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// How long a letter, and the memory of one that has expired, may live.
const LIFE: Duration = Duration::from_mins(1);
/// Connections after which everybody has had all answers, at 20 refusals each.
const ROUNDS: usize = 20;
/// Of how many people the counts are checked in the end.
const COUNTED: usize = 3;

pub(super) struct Run<'d> {
    dice: &'d mut dyn Dice,
    options: Options,
    world: Sim<Paper>,
    people: Vec<Person<Paper>>,
    devices: Vec<Device>,
    hostile: Vec<Hostile>,
    strangers: Strangers,
    network: Network,
    ledger: Ledger,
}

impl<'d> Run<'d> {
    pub(super) fn new(dice: &'d mut dyn Dice, options: Options) -> Self {
        let mut config = Config::default();
        config.mailbox.pair_letters = PAIR_LETTERS;
        config.expiry_interval = SWEEP_INTERVAL;
        Strangers::limit(&mut config);
        if options.short_lives {
            (config.letter_life, config.fate_life) = (LIFE, LIFE);
            config.expiry_interval = SWEEP_INTERVAL / 6;
        }
        let count = options.people + options.hostile;
        let (mut world, mut people) =
            Sim::populate_shards(config, options.seed, count, options.shards);
        let hostile = people.split_off(options.people).into_iter().map(Hostile::new).collect();
        (world.disk.held, world.disk.mute) = (true, true);
        world.post_is_held = true;
        let devices = people.iter().map(|_| Device::default()).collect();
        let (network, ledger) = (Network::default(), Ledger::default());
        let strangers = Strangers::default();
        Self { dice, options, world, people, devices, hostile, strangers, network, ledger }
    }

    pub(super) fn play(mut self) -> BTreeSet<LetterState> {
        for number in 0..self.options.steps {
            if self.dice.is_over() {
                break;
            }
            self.step(number);
        }
        self.finish();
        self.world.letter_states()
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice.roll(sides)
    }

    fn step(&mut self, number: usize) {
        let who = self.roll(self.options.people);
        let what = self.roll(100);
        let name = match what {
            0..24 => self.send(who),
            24..26 => self.stranger(),
            26..42 => self.acknowledge(who),
            42..49 => self.come(who),
            49..51 => self.hang_up(who),
            51..59 => self.travel(),
            59..66 => self.carry_post(),
            66..76 => self.work(),
            76..83 => self.tell_outcome(),
            83..90 => self.tell_answer(),
            90..93 => self.wait(),
            93..94 => self.crash(),
            94..95 => self.take_over(who),
            95..96 => self.flip(),
            96..98 => self.misbehave(),
            98..99 => self.refuse_writes(),
            _ => self.refuse_questions(),
        };
        if self.options.trace {
            eprintln!("{number:4} {who:2} {name}");
        }
        if self.options.bad_network {
            self.listen(who);
        } else {
            self.network.deliver_all(&mut self.world);
            (0..self.options.people).for_each(|who| self.listen(who));
        }
        self.assert_counted(who);
        self.world.assert_counted();
    }

    /// What lies in the mailboxes and nobody has acknowledged counts for its sender.
    fn assert_counted(&self, who: usize) {
        let sender = self.people[who].id();
        let held = |id: &PacketId| self.devices[self.ledger.to[id]].acknowledged.contains(id);
        let lies = self.world.disk.pending_from(sender).filter(|letter| !held(&letter.id)).count();
        let (counted, _) = self.world.pending_from(sender);
        assert!(lies <= counted as usize, "{lies} letters of {who}, and {counted} are counted");
    }

    /// Nothing is on its way: all that counts for a sender lies in the mailboxes.
    fn assert_all_counted(&self) {
        for person in &self.people {
            let letters = self.world.disk.pending_from(person.id());
            let lie = letters.fold((0, 0), |(letters, bytes), letter| {
                (letters + 1, bytes + letter.packet.len() as u64)
            });
            assert_eq!(self.world.pending_from(person.id()), lie, "letters of {}", person.id());
        }
    }

    fn send(&mut self, who: usize) -> &'static str {
        if !self.devices[who].online {
            return "has no session to send in";
        }
        let to = (who + 1 + self.roll(self.options.people - 1)) % self.options.people;
        let len = [0, 10, 10, 10, 300, 300, 3_000, 60_000][self.roll(8)];
        let recipient = self.people[to].id();
        // Payloads differ, so packets do.
        let mut payload = vec![0; len];
        payload.extend(self.ledger.to.len().to_le_bytes());
        payload.truncate(60 * 1_024);
        let letter = self.people[who].letter(&mut self.world, recipient, &payload);
        self.ledger.to.insert(id_of(&letter), to);
        self.devices[who].open.insert(id_of(&letter), letter.clone());
        self.give(who, &letter);
        if self.roll(10) == 0 {
            self.give(who, &letter);
            return "sends a letter twice";
        }
        "sends a letter"
    }

    fn give(&mut self, who: usize, bytes: &[u8]) {
        for hostile in &mut self.hostile {
            hostile.overhear(bytes);
        }
        let conn = self.people[who].conn;
        self.network.push(conn, bytes);
    }

    fn acknowledge(&mut self, who: usize) -> &'static str {
        let device = &mut self.devices[who];
        if !device.online || device.unacknowledged.is_empty() {
            return "has nothing to acknowledge";
        }
        let count = 1 + self.dice.roll(device.unacknowledged.len());
        let held: Vec<_> = device.unacknowledged.drain(..count).collect();
        device.acknowledged.extend(&held);
        for ids in held.chunks(64) {
            let packet = self.people[who].held(&mut self.world, ids);
            self.give(who, &packet);
        }
        "acknowledges"
    }

    fn come(&mut self, who: usize) -> &'static str {
        if self.devices[who].online { "is there" } else { self.take_over(who) }
    }

    fn take_over(&mut self, who: usize) -> &'static str {
        self.people[who].knock(&mut self.world);
        let window = [1, 2, 7, 128][self.roll(4)];
        // What storage holds now, and all of it that the server has yet to delete.
        let backlog = self.world.disk.pending(self.people[who].id());
        self.devices[who] = std::mem::take(&mut self.devices[who]).session(window, backlog);
        let confirmation = self.people[who].confirmation(&mut self.world, window);
        self.give(who, &confirmation);
        let open: Vec<_> = self.devices[who].open.values().cloned().collect();
        for letter in open {
            self.give(who, &letter);
        }
        "connects"
    }

    fn hang_up(&mut self, who: usize) -> &'static str {
        if self.devices[who].online {
            let conn = self.people[who].conn;
            self.network.cut(conn);
            self.world.hang_up(conn);
            self.devices[who].online = false;
        }
        "is cut off"
    }

    fn travel(&mut self) -> &'static str {
        self.network.deliver_some(self.dice, &mut self.world);
        "- bytes arrive"
    }

    fn carry_post(&mut self) -> &'static str {
        for _ in 0..8 {
            let routes = self.world.routes();
            if routes > 0 {
                let route = self.roll(routes);
                self.world.deliver_parcels(route, 1);
            }
        }
        "- mail arrives"
    }

    fn flip(&mut self) -> &'static str {
        if self.options.bad_network
            && let Some(conn) = self.network.flip(self.dice)
        {
            let of_conn = self.people.iter().position(|person| person.conn == conn);
            if let Some(who) = of_conn {
                self.devices[who].troubled = true;
            }
        }
        "- a bit falls over"
    }

    fn misbehave(&mut self) -> &'static str {
        if !self.hostile.is_empty() {
            let at = self.roll(self.hostile.len());
            let victims: Vec<UserId> = self.people.iter().map(Person::id).collect();
            let letter = self.hostile[at].act(self.dice, &mut self.world, &victims);
            self.ledger.to.extend(letter);
        }
        "- somebody misbehaves"
    }

    fn stranger(&mut self) -> &'static str {
        self.strangers.act(self.dice, &mut self.world);
        Strangers::check(&self.world);
        "- a stranger asks for a code"
    }

    fn work(&mut self) -> &'static str {
        if self.world.disk.refuses_writes {
            self.ledger.doubt_what_is_unanswered();
        }
        self.world.disk.work();
        "- storage works"
    }

    fn tell_outcome(&mut self) -> &'static str {
        self.world.tell_outcome();
        "- storage tells an outcome"
    }

    fn tell_answer(&mut self) -> &'static str {
        self.world.tell_answer();
        "- storage answers"
    }

    fn wait(&mut self) -> &'static str {
        if self.options.short_lives && self.roll(2) == 0 {
            self.world.set_forward(1 + self.dice.roll(40) as i64);
        }
        self.world.wait(Duration::from_millis(700));
        "- time passes"
    }

    fn crash(&mut self) -> &'static str {
        self.world.crash();
        self.network.cut_all();
        self.hostile.iter_mut().for_each(Hostile::forget);
        for device in &mut self.devices {
            self.ledger.doubtful.extend(device.open.keys());
            device.online = false;
        }
        "- the server dies, and starts again"
    }

    fn refuse_writes(&mut self) -> &'static str {
        self.world.disk.refuses_writes = self.options.bad_storage && self.roll(2) == 0;
        "- storage takes, or refuses, writes"
    }

    fn refuse_questions(&mut self) -> &'static str {
        self.world.disk.refuses_questions = self.options.bad_storage && self.roll(2) == 0;
        "- storage takes, or refuses, questions"
    }

    fn listen(&mut self, who: usize) {
        if !self.devices[who].online {
            return;
        }
        for said in self.people[who].hear(&mut self.world) {
            if self.options.trace {
                match &said {
                    Said::Letter(letter) => {
                        eprintln!("        {who} hears letter {}", id_of(letter));
                    }
                    other => eprintln!("        {who} hears {other:?}"),
                }
            }
            self.hear(who, said);
        }
        if self.people[who].is_closed(&self.world) {
            self.devices[who].online = false;
        }
    }

    fn hear(&mut self, who: usize, said: Said) {
        match said {
            Said::Letter(letter) => {
                self.ledger.came(&mut self.devices[who], who, id_of(&letter));
                let pending = self.world.disk.pending(self.people[who].id());
                self.ledger.assert_order(&self.devices[who], &pending);
            }
            Said::BacklogEnd(count) => {
                let expired = &self.world.disk.expired;
                Ledger::backlog_ended(&mut self.devices[who], expired, count);
            }
            Said::Fate(id, status) => {
                self.devices[who].open.remove(&id);
                self.ledger.status(&self.devices, &self.world.disk.expired, id, status);
            }
            Said::Refused(no) => match no.packet {
                Some(id) => self.refused(who, id, no.code),
                // A packet stood half on the line for too long, or is not what was sent.
                None => assert!(self.options.bad_network, "{no:?}"),
            },
            Said::Closed(_) if self.options.bad_network => {}
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, who: usize, id: PacketId, code: ErrorCode) {
        let device = &mut self.devices[who];
        let excused = [ErrorCode::StorageUnavailable, ErrorCode::MailboxFull];
        // The clock was set forward while it was on its way.
        let too_old = code == ErrorCode::StaleTimestamp && self.options.short_lives;
        if !excused.contains(&code) && !too_old {
            // What was refused is not what was sent.
            assert!(device.troubled, "{code:?}");
            return;
        }
        // A refusal is not the last word on a letter that was stored.
        if !self.ledger.statuses.contains_key(&id) {
            device.open.remove(&id);
        }
    }

    /// All trouble ends, everybody comes and reads everything.
    fn finish(&mut self) {
        self.world.disk.refuses_writes = false;
        self.world.disk.refuses_questions = false;
        self.world.release();
        self.network.deliver_all(&mut self.world);
        self.world.wait_s(2);
        self.assert_all_counted();
        // Whoever has a session gets everything in it: nothing was skipped.
        for who in 0..self.options.people {
            self.read_all(who);
            let (device, id) = (&self.devices[who], self.people[who].id());
            let is_sound = device.online && !device.troubled;
            assert!(!is_sound || self.world.disk.pending(id).is_empty());
        }
        // Whoever is refused too often in a second loses the connection, and comes back.
        for round in 0.. {
            let is_quiet = |device: &Device| {
                device.online && device.backlog.is_none() && device.open.is_empty()
            };
            if round >= 2 && self.devices.iter().all(is_quiet) {
                break;
            }
            assert!(round < ROUNDS, "somebody has no answers after {round} connections");
            for who in 0..self.options.people {
                self.take_over(who);
                self.read_all(who);
            }
            self.world.wait_s(1);
            (0..self.options.people).for_each(|who| self.listen(who));
        }
        (0..self.options.people).for_each(|who| self.listen(who));
        // An acknowledgment may have made room for a letter that was sent again.
        while self.devices.iter().any(|device| !device.unacknowledged.is_empty()) {
            (0..self.options.people).for_each(|who| self.read_all(who));
        }
        self.world.wait_s(2);
        for who in 0..self.options.people {
            self.listen(who);
            let device = &self.devices[who];
            assert!(device.backlog.is_none(), "255 never came");
            assert!(self.world.is_read(self.people[who].conn));
            assert_eq!(self.world.disk.pending(self.people[who].id()), []);
            assert!(device.open.is_empty(), "{} without an answer", device.open.len());
        }
        self.ledger.assert_nothing_lost(&self.devices, &self.world.disk.expired);
        Strangers::check(&self.world);
        self.assert_all_counted();
        self.count();
        self.assert_all_counted();
    }

    fn read_all(&mut self, who: usize) {
        self.network.deliver_all(&mut self.world);
        self.listen(who);
        while self.devices[who].online && !self.devices[who].unacknowledged.is_empty() {
            self.acknowledge(who);
            self.network.deliver_all(&mut self.world);
            self.listen(who);
        }
    }

    /// Every mailbox knows that it is empty: so many letters fit, and not one more.
    fn count(&mut self) {
        let counted = self.options.people.min(COUNTED);
        for who in 0..counted {
            for to in (0..counted).filter(|to| *to != who) {
                let recipient = self.people[to].id();
                for n in 0..=PAIR_LETTERS {
                    let letter =
                        self.people[who].letter(&mut self.world, recipient, &n.to_le_bytes());
                    self.world.send(self.people[who].conn, &letter);
                }
                let said = self.people[who].hear(&mut self.world);
                let is_answer = |said: &&Said| !matches!(said, Said::Letter(_));
                let answers: Vec<_> = said.iter().filter(is_answer).collect();
                let full = answers.last().and_then(|said| said.code());
                assert_eq!(full, Some(ErrorCode::MailboxFull), "{who} to {to}: {answers:?}");
                let stored = |said: &&&Said| matches!(said, Said::Fate(_, Status::Stored));
                assert_eq!(
                    answers.iter().filter(stored).count(),
                    PAIR_LETTERS as usize,
                    "{who} to {to}"
                );
            }
        }
    }
}
