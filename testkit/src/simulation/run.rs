//! A run: one decision after the other, and what it leads to.

use std::collections::BTreeSet;
use std::time::Duration;

use waxwing_core::client::{Ended, Env};
use waxwing_core::crypto::PrivateKey;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::messenger::{Cause, Over};
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::OwnLimits;
use waxwing_core::server::{Config, ConnId};
use waxwing_core::time::Now;
use waxwing_core::wire::{CloseReason, ErrorCode, Status};

use super::act::Act;
use super::dice::Script;
use super::hostile::Hostile;
use super::letters::Letters;
use super::network::Network;
use super::observer::{Observer, Sent};
use super::other_process;
use super::packets::{Device, Packets, Signed};
use super::people::{self, KeyRing};
use super::strangers::Strangers;
use super::{Options, Played};
use crate::backend::{Backend, Paper};
use crate::disk::Disk;
use crate::packets::take_whole;
use crate::participant::{End, Memory, Participant, Step};
use crate::person::Said;
use crate::world::Sim;

/// So that there are some in the seconds that pass.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// How long a letter, and the memory of one that has expired, may live.
const LIFE: Duration = Duration::from_mins(1);
/// Rounds after which everybody has had all answers.
const ROUNDS: usize = 60;
/// Of how many people the counts are checked in the end.
const COUNTED: usize = 3;
/// After that nothing that was sent before is fresh.
const STILL: Duration = Duration::from_secs(301);
/// What a person waits for before a new process connects without waiting.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) struct Run<'d, 'k> {
    dice: &'d mut dyn Script,
    options: Options,
    world: Sim<Paper>,
    people: Vec<Participant<'k, Paper>>,
    lines: Vec<Line>,
    devices: Vec<Device>,
    hostile: Vec<Hostile>,
    strangers: Strangers,
    network: Network,
    packets: Packets,
    letters: Letters,
    /// How much goes on between two decisions.
    tempo: usize,
    /// How many keys the server has had besides the first.
    key_changes: usize,
    /// What the steps so far have come to.
    steps: BTreeSet<&'static str>,
    /// For some minutes nothing has happened: what was fresh is not any more.
    has_been_still: bool,
    /// All trouble has ended.
    is_calm: bool,
}

/// A person's end of the world.
struct Line {
    conn: Option<ConnId>,
    observer: Observer,
    /// What the server has said, and has not arrived.
    coming: Vec<u8>,
    /// By how many seconds the person's clock is wrong.
    clock_is_off_s: i64,
    is_leaving: bool,
    /// The operator has ended a session of the person's.
    was_sent_away: bool,
    /// The profile fails at one of the next changes.
    disk_fails: bool,
    /// Commits that were looked at.
    commits: usize,
}

impl<'d, 'k> Run<'d, 'k> {
    pub(super) fn new(dice: &'d mut dyn Script, options: Options, keys: &'k KeyRing) -> Self {
        let mut config = Config::default();
        config.mailbox.pair_letters = options.pair_letters;
        config.expiry_interval = SWEEP_INTERVAL;
        Strangers::limit(&mut config);
        if options.short_lives {
            (config.letter_life, config.fate_life) = (LIFE, LIFE);
            config.expiry_interval = SWEEP_INTERVAL / 6;
        }
        let count = options.people + options.hostile;
        let (mut world, mut raw) =
            Sim::populate_shards(config, options.seed, count, options.shards);
        let hostile = raw.split_off(options.people).into_iter().map(Hostile::new).collect();
        (world.disk.held, world.disk.mute) = (true, true);
        world.transfers_are_held = true;
        let letters = Letters::new(raw.iter().map(|person| person.phone).collect());
        let memory = if options.large_letters { Memory::LARGE } else { Memory::SMALL };
        let people = people::participants(dice, memory, keys, &raw);
        let devices = raw.iter().map(|_| Device::default()).collect();
        let line = |person| Line {
            conn: None,
            observer: Observer::new(person),
            coming: Vec::new(),
            clock_is_off_s: people::clock_error(dice),
            is_leaving: false,
            was_sent_away: false,
            disk_fails: false,
            commits: 0,
        };
        let lines = raw.into_iter().map(line).collect();
        let (network, strangers) = (Network::default(), Strangers::default());
        let packets = Packets::default();
        let tempo = [0, 2, 6, 12][dice.roll(4)];
        Self {
            dice,
            options,
            world,
            people,
            lines,
            devices,
            hostile,
            strangers,
            network,
            packets,
            letters,
            tempo,
            key_changes: 0,
            steps: BTreeSet::new(),
            has_been_still: false,
            is_calm: false,
        }
    }

    pub(super) fn play(mut self) -> Played {
        for number in 0..self.options.steps {
            let Some((who, act)) = self.dice.next_step(self.options.people) else { break };
            self.step(number, who, act);
        }
        self.finish();
        Played {
            letter_states: self.world.letter_states(),
            steps: self.steps,
            shown: self.letters.shown().count(),
            longest: self.letters.shown().max().unwrap_or(0),
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice.roll(sides)
    }

    fn id(&self, who: usize) -> UserId {
        self.people[who].profile.stored.user.expect("everybody has an account")
    }

    fn step(&mut self, number: usize, who: usize, act: Act) {
        let name = match act {
            Act::Write => self.write(who),
            Act::AskForCode => self.stranger(),
            Act::GoOn => self.go_on(who),
            Act::Connect => self.come(who),
            Act::HangUp => self.hang_up(who),
            Act::Die => self.die(who),
            Act::Leave => self.leave(who),
            Act::FillDisk => self.fill_disk(who),
            Act::UseAnotherProcess => self.use_another_process(who),
            Act::Travel => self.travel(),
            Act::CarryMail => self.carry_mail(),
            Act::Store => self.work(),
            Act::TellOutcome => self.tell_outcome(),
            Act::TellAnswer => self.tell_answer(),
            Act::Wait => self.wait(),
            Act::Crash => self.crash(),
            Act::Flip => self.flip(),
            Act::Misbehave => self.misbehave(),
            Act::RefuseWrites => self.refuse_writes(),
            Act::RefuseQuestions => self.refuse_questions(),
            Act::Operate => self.operate(who),
        };
        self.steps.insert(name);
        if self.options.trace {
            eprintln!("{number:4} {who:2} {name}");
        }
        for _ in 0..self.tempo {
            self.move_on();
        }
        if self.options.bad_network {
            self.drive(who);
        } else {
            self.network.deliver_all(&mut self.world);
            (0..self.options.people).for_each(|who| {
                self.drive(who);
            });
        }
        self.world.assert_counted();
    }

    /// Somewhere something goes on, as it does all the time.
    fn move_on(&mut self) {
        match self.roll(6) {
            0 => self.travel(),
            1 => self.carry_mail(),
            2 => self.work(),
            3 => self.tell_outcome(),
            4 => self.tell_answer(),
            _ => {
                let who = self.roll(self.options.people);
                self.drive(who);
                ""
            }
        };
    }

    /// Nothing is on its way: all that counts for a sender lies in the mailboxes.
    fn assert_all_counted(&self) {
        for who in 0..self.options.people {
            let letters = self.world.disk.pending_from(self.id(who));
            let lie = letters.fold((0, 0), |(letters, bytes), letter| {
                (letters + 1, bytes + letter.packet.len() as u64)
            });
            assert_eq!(self.world.pending_from(self.id(who)), lie, "letters of {who}");
        }
    }

    fn write(&mut self, who: usize) -> &'static str {
        let uid = self.letters.next_uid();
        let Some(stored) = self.people[who].profile.from_another_process() else {
            return "has to wait before it can write";
        };
        let others = self.options.people - 1;
        let to = (who + 1 + self.dice.roll(others)) % self.options.people;
        let is_nobody = self.dice.roll(40) == 0;
        let to = if is_nobody { people::nobody() } else { self.lines[to].observer.person.phone };
        let len = [0, 10, 10, 10, 300, 300, 3_000, 60_000][self.dice.roll(8)];
        let len = if self.options.large_letters { len } else { len.min(Memory::SMALL_TEXT) };
        // Texts differ.
        let text = format!("{uid:?} {}", "x".repeat(len));
        stored.write(uid, to, &text);
        self.letters.written(who, stored.outbox.last().unwrap());
        "writes a letter"
    }

    fn go_on(&mut self, who: usize) -> &'static str {
        for _ in 0..3 {
            self.drive(who);
        }
        "goes on"
    }

    fn come(&mut self, who: usize) -> &'static str {
        if self.lines[who].conn.is_some() {
            return "is there";
        }
        let until = self.people[who].messenger.may_connect_at().since(self.world.now.instant);
        self.world.wait(until.min(PATIENCE));
        if until > PATIENCE {
            self.restart(who);
        }
        self.connect(who);
        if self.roll(4) > 0 {
            // The session opens before anything else happens.
            for _ in 0..2 {
                let Some(conn) = self.lines[who].conn else { return "is refused" };
                self.network.deliver_all_of(&mut self.world, conn);
                self.world.bring(conn);
                self.drive(who);
            }
        }
        "connects"
    }

    fn connect(&mut self, who: usize) {
        let line = &mut self.lines[who];
        line.conn = Some(self.world.connect());
        line.observer.begin();
        line.coming.clear();
        line.is_leaving = false;
        self.devices[who].connect();
        self.with_env(who, |person, env| person.connect(env));
        self.drive(who);
    }

    fn with_env<T>(
        &mut self,
        who: usize,
        act: impl FnOnce(&mut Participant<'k, Paper>, &mut Env<'_>) -> T,
    ) -> T {
        let Now { instant, unix } = self.world.now;
        let now = Now { instant, unix: unix.shifted(self.lines[who].clock_is_off_s) };
        act(&mut self.people[who], &mut Env { now, rng: &mut self.world.rng })
    }

    /// The network breaks. What is on its way to the server may arrive.
    fn hang_up(&mut self, who: usize) -> &'static str {
        let Some(conn) = self.lines[who].conn else { return "is cut off already" };
        self.world.hang_up(conn);
        self.network.cut(conn);
        "is cut off"
    }

    /// The process dies, and with it what was not committed. The server hears of it at once, when all
    /// has arrived, or never.
    fn die(&mut self, who: usize) -> &'static str {
        if !self.options.crashes {
            return "lives";
        }
        if let Some(conn) = self.lines[who].conn.take() {
            match self.roll(3) {
                0 => self.network.cut(conn),
                1 => self.network.deliver_all_of(&mut self.world, conn),
                _ => {
                    self.restart(who);
                    return "dies, and nobody hears of it";
                }
            }
            self.network.cut(conn);
            self.world.hang_up(conn);
        }
        self.restart(who);
        "dies"
    }

    fn restart(&mut self, who: usize) {
        self.people[who].restart();
        self.lines[who].disk_fails &= self.people[who].profile.fails_after.is_some();
    }

    fn leave(&mut self, who: usize) -> &'static str {
        if self.people[who].profile.is_open() {
            return "is in the middle of a step";
        }
        let said = self.with_env(who, |person, env| {
            person.client().is_some_and(|client| client.leave(env).is_ok())
        });
        self.lines[who].is_leaving |= said;
        "says goodbye"
    }

    fn fill_disk(&mut self, who: usize) -> &'static str {
        if !self.options.crashes {
            return "has room";
        }
        let left = self.roll(12);
        self.people[who].profile.fails_after = Some(left);
        self.lines[who].disk_fails = true;
        "has little room on the disk"
    }

    fn use_another_process(&mut self, who: usize) -> &'static str {
        if !self.options.crashes {
            return "has one process";
        }
        let Now { instant, unix } = self.world.now;
        let now = Now { instant, unix: unix.shifted(self.lines[who].clock_is_off_s) };
        let mut env = Env { now, rng: &mut self.world.rng };
        let person = &mut self.people[who];
        let name = other_process::act(self.dice, who, person, &mut self.letters, &mut env);
        self.look(who);
        name
    }

    fn travel(&mut self) -> &'static str {
        self.network.deliver_some(self.dice, &mut self.world);
        "- bytes arrive"
    }

    fn carry_mail(&mut self) -> &'static str {
        for _ in 0..8 {
            let routes = self.world.routes();
            if routes > 0 {
                let route = self.roll(routes);
                self.world.deliver_transfers(route, 1);
            }
        }
        "- mail arrives"
    }

    fn flip(&mut self) -> &'static str {
        if self.options.bad_network
            && let Some(conn) = self.network.flip(self.dice)
        {
            let of_conn = self.lines.iter().position(|line| line.conn == Some(conn));
            if let Some(who) = of_conn {
                self.devices[who].troubled = true;
            }
        }
        "- a bit falls over"
    }

    fn misbehave(&mut self) -> &'static str {
        if !self.hostile.is_empty() {
            let at = self.roll(self.hostile.len());
            let victims: Vec<UserId> = (0..self.options.people).map(|who| self.id(who)).collect();
            let letters = self.hostile[at].act(self.dice, &mut self.world, &victims);
            let signed = |(id, to)| (id, Signed { to, letter: None });
            self.packets.signed.extend(letters.into_iter().map(signed));
        }
        "- somebody misbehaves"
    }

    /// The server announces another key, or, when everybody knows of one and its moment has come, goes on
    /// with it.
    fn change_key(&mut self) -> &'static str {
        let Some((key, effective)) = self.world.announced() else {
            let Some(key) = people::SUCCESSORS.get(self.key_changes) else {
                return "- no key is left";
            };
            let effective = self.world.now.unix.shifted(2 + self.dice.roll(8) as i64);
            self.world.announce(Some((*key, effective)));
            return "- the server announces another key";
        };
        if self.roll(8) == 0 {
            self.world.announce(None);
            return "- the server keeps its key after all";
        }
        let spki = Paper::key(key).spki().clone();
        let knows = |person: &Participant<'_, Paper>| {
            let successor = person.profile.committed().successor.as_ref();
            successor.is_some_and(|next| next.spki == spki)
        };
        if self.world.now.unix < effective || !self.people.iter().all(knows) {
            return "- somebody does not know of the key yet";
        }
        self.key_changes += 1;
        self.world.succeed(key);
        self.hostile.iter_mut().for_each(Hostile::forget);
        "- the server has another key"
    }

    fn operate(&mut self, who: usize) -> &'static str {
        if self.options.key_changes && self.roll(2) == 0 {
            return self.change_key();
        }
        let user = self.id(who);
        if self.roll(2) == 0 {
            self.lines[who].was_sent_away |= self.world.end_session(user);
            return "- the operator ends a session";
        }
        // Another may be under way.
        if self.roll(2) == 0 {
            let limits = match self.roll(3) {
                0 => OwnLimits { letters: Some(1), bytes: None },
                1 => OwnLimits { letters: None, bytes: Some(2_000) },
                _ => OwnLimits::default(),
            };
            let _ = self.world.set_limits(user, limits);
            return "- the operator sets limits";
        }
        let _ = self.world.expire_letters(user, self.world.now.unix);
        "- the operator has letters expire"
    }

    fn stranger(&mut self) -> &'static str {
        self.strangers.act(self.dice, &mut self.world);
        Strangers::check(&self.world);
        "- a stranger asks for a code"
    }

    fn work(&mut self) -> &'static str {
        let Disk { refuses_writes, next_is_unclear, .. } = self.world.disk;
        if refuses_writes || next_is_unclear.is_some() || self.world.disk.is_unclear() {
            self.doubt_what_is_unanswered();
        }
        if self.world.disk.is_unclear() && self.roll(4) == 0 {
            self.world.disk.clear_up();
            return "- storage knows how a batch has ended";
        }
        self.world.disk.work();
        "- storage works"
    }

    fn doubt_what_is_unanswered(&mut self) {
        let stored = self.people.iter().map(|person| person.profile.committed());
        let open = stored.flat_map(|stored| stored.outbox.iter().filter(|row| row.is_open()));
        let open = open.flat_map(|row| row.packets.iter().map(|(id, _)| *id));
        self.packets.doubt_what_is_unanswered(open);
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
        if !self.has_been_still && self.roll(8) == 0 {
            self.has_been_still = true;
            self.world.wait(STILL);
            return "- for minutes nothing happens";
        }
        self.world.wait(Duration::from_millis(700));
        "- time passes"
    }

    fn crash(&mut self) -> &'static str {
        if self.roll(2) == 0 {
            return "- the server goes on";
        }
        self.world.crash();
        self.network.cut_all();
        self.hostile.iter_mut().for_each(Hostile::forget);
        self.doubt_what_is_unanswered();
        "- the server dies, and starts again"
    }

    fn refuse_writes(&mut self) -> &'static str {
        self.world.disk.refuses_writes = false;
        match self.options.bad_storage.then(|| self.roll(4)) {
            Some(0) => {
                self.world.disk.refuses_writes = true;
                "- storage refuses writes"
            }
            Some(1) => {
                self.world.disk.next_is_unclear = Some(self.roll(2) == 0);
                "- storage will not know how the next batch has ended"
            }
            _ => "- storage takes writes",
        }
    }

    fn refuse_questions(&mut self) -> &'static str {
        self.world.disk.refuses_questions = self.options.bad_storage && self.roll(2) == 0;
        if self.world.disk.refuses_questions {
            "- storage refuses questions"
        } else {
            "- storage takes questions"
        }
    }

    /// One move of bytes and one turn of a messenger. Whether there is more to do.
    fn drive(&mut self, who: usize) -> bool {
        let Some(conn) = self.lines[who].conn else { return false };
        let line = &mut self.lines[who];
        line.coming.extend(self.world.bytes(conn));
        let mut count = line.coming.len();
        if self.options.bad_network && !self.is_calm && count > 0 && self.dice.roll(4) == 0 {
            count = self.dice.roll(count + 1);
        }
        let come: Vec<_> = line.coming.drain(..count).collect();
        line.observer.overhear(&come);
        self.people[who].receive(&come);
        if line.coming.is_empty() && self.world.is_closed(conn) {
            self.people[who].end_stream();
        }
        let step = self.with_env(who, |person, env| person.step(env));
        let line = &mut self.lines[who];
        if let Some((nonce, key)) = self.people[who].client().and_then(|client| client.session()) {
            line.observer.open(nonce, key);
        }
        // A step writes before it reads.
        let mut sent = self.people[who].transmit();
        for packet in take_whole(&mut sent) {
            self.sent(who, conn, &packet);
        }
        assert!(sent.is_empty(), "a client writes whole packets");
        for said in self.lines[who].observer.server_said(&mut self.world) {
            self.hear(who, said);
        }
        self.look(who);
        if let Step::Ended(end) = step {
            if self.options.trace {
                eprintln!("        {who} is left: {end:?}");
            }
            self.ended(who, end);
            self.lines[who].conn = None;
            if !self.world.is_closed(conn) {
                self.network.deliver_all_of(&mut self.world, conn);
            }
            self.network.cut(conn);
            self.world.hang_up(conn);
        }
        step != Step::Idle || !self.lines[who].coming.is_empty()
    }

    /// A packet goes out: what it says is durable.
    fn sent(&mut self, who: usize, conn: ConnId, packet: &[u8]) {
        let stored = self.people[who].profile.committed();
        let sent = self.lines[who].observer.client_said(packet);
        if self.options.trace {
            eprintln!("        {who} says {sent:?}");
        }
        match sent {
            Sent::Letter(id, to) => {
                let row = stored.outbox.iter().find(|row| row.packets.contains(&(id, to)));
                let row = row.unwrap_or_else(|| panic!("{id} is sent and not stored"));
                let letter = Some(row.uid);
                let to = (0..self.options.people).find(|who| self.id(*who) == to);
                let signed = Signed { to: to.expect("a letter to somebody"), letter };
                self.packets.signed.insert(id, signed);
                self.devices[who].send(id, signed);
            }
            Sent::Confirmed => {
                // What storage holds now, and all of it that the server has yet to delete.
                self.devices[who].backlog = Some(self.world.disk.pending(self.id(who)));
            }
            Sent::Held(ids) => {
                for id in ids {
                    assert!(stored.taken.contains(&id), "{id} is acknowledged and not stored");
                    self.devices[who].acknowledged.insert(id);
                }
            }
            Sent::Other => {}
        }
        for hostile in &mut self.hostile {
            hostile.overhear(packet);
        }
        self.network.push(conn, packet);
    }

    /// What is durable is what a person is shown.
    fn look(&mut self, who: usize) {
        let profile = &self.people[who].profile;
        self.letters.look(who, profile.committed(), &self.packets);
        if self.lines[who].commits != profile.commits {
            self.lines[who].commits = profile.commits;
            let of = |who: usize| self.people[who].profile.committed();
            let forgotten = self.options.short_lives;
            let expired = &self.world.disk.expired;
            self.letters.assert_delivered(of(who), of, expired, forgotten);
        }
    }

    fn hear(&mut self, who: usize, said: Said) {
        if self.options.trace {
            match &said {
                Said::Letter(letter) => {
                    eprintln!("        {who} hears letter {}", crate::packets::id_of(letter));
                }
                other => eprintln!("        {who} hears {other:?}"),
            }
        }
        let device = &mut self.devices[who];
        match said {
            Said::Letter(letter) => {
                self.packets.came(device, who, crate::packets::id_of(&letter));
                let pending = self.world.disk.pending(self.id(who));
                self.packets.assert_order(&self.devices[who], &pending);
            }
            Said::BacklogEnd(count) => {
                Packets::backlog_ended(device, &self.world.disk.expired, count);
            }
            Said::Fate(id, status) => {
                let letter = self.packets.signed[&id].letter;
                match status {
                    Status::Delivered | Status::Expired => device.settled(letter),
                    Status::Stored | Status::Unknown => device.answered(letter),
                }
                let (disk, forgotten) = (&self.world.disk, self.options.short_lives);
                self.packets.status(&self.devices, &disk.expired, forgotten, id, status);
            }
            Said::Refused(no) => match no.packet {
                Some(id) => self.refused(who, id, no.code),
                // A packet stood half on the line for too long, or is not what was sent.
                None => assert!(self.options.bad_network, "{no:?}"),
            },
            Said::Key(_) | Said::Successor(_) | Said::Closed(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, who: usize, id: PacketId, code: ErrorCode) {
        let device = &mut self.devices[who];
        let letter = self.packets.signed.get(&id).and_then(|signed| signed.letter);
        let is_letter = letter.is_some();
        if is_letter {
            device.answered(letter);
        }
        let excused = match code {
            ErrorCode::StorageUnavailable => true,
            ErrorCode::MailboxFull => is_letter,
            // It was on its way for long, or the clock was set forward.
            ErrorCode::StaleTimestamp => {
                is_letter && (self.options.short_lives || self.has_been_still)
            }
            // Questions that the network has brought together.
            ErrorCode::UnknownUser | ErrorCode::RateLimited => !is_letter,
            _ => false,
        };
        // What was refused may not be what was sent.
        assert!(excused || device.troubled, "{code:?}");
    }

    /// A connection is over, for a reason that there can be.
    fn ended(&mut self, who: usize, end: End) {
        let troubled = self.devices[who].troubled;
        let line = &mut self.lines[who];
        match end {
            End::DiskFull => {
                assert!(std::mem::take(&mut line.disk_fails), "nothing was wrong with the disk");
            }
            End::Stream => {}
            End::Over(Over { cause, .. }) => match cause {
                Cause::Ended(Ended::Closed(CloseReason::Leaving)) => assert!(line.is_leaving),
                Cause::Ended(Ended::Closed(CloseReason::ServerStopping)) if line.was_sent_away => {}
                Cause::Ended(Ended::TimedOut) | Cause::Unanswered => {}
                // They have tried the key that the server has not, or not yet.
                Cause::Ended(Ended::BadBytes) if self.options.key_changes => {}
                Cause::Ended(Ended::Closed(_)) => {
                    assert!(self.options.bad_network || self.has_been_still, "{cause:?}");
                }
                Cause::Ended(Ended::Refused(_)) => {
                    assert!(troubled || self.has_been_still, "{cause:?}");
                }
                _ => panic!("{cause:?}"),
            },
        }
    }

    /// Everybody does what there is to do, until nobody has anything.
    fn settle(&mut self) {
        let mut idle = 0;
        while idle < 4 {
            self.network.deliver_all(&mut self.world);
            let mut has_moved = false;
            for who in 0..self.options.people {
                has_moved |= self.drive(who);
            }
            idle = if has_moved { 0 } else { idle + 1 };
            if idle > 0 {
                // Acknowledgments are collected for a second.
                self.world.wait(Duration::from_millis(700));
            }
        }
    }

    /// All trouble ends, everybody comes and reads everything.
    fn finish(&mut self) {
        self.world.disk.refuses_writes = false;
        self.world.disk.refuses_questions = false;
        self.world.disk.clear_up();
        self.is_calm = true;
        for (person, line) in self.people.iter_mut().zip(&mut self.lines) {
            (person.profile.fails_after, line.disk_fails) = (None, false);
        }
        self.world.release();
        for who in 0..self.options.people {
            self.world
                .set_limits(self.id(who), OwnLimits::default())
                .expect("nothing is under way");
        }
        self.world.release();
        self.settle();
        self.assert_all_counted();
        // Whoever has a session gets everything in it: nothing was skipped.
        for who in 0..self.options.people {
            let is_sound = self.people[who].messenger.has_backlog() && !self.devices[who].troubled;
            let pending = self.world.disk.pending(self.id(who));
            assert!(!is_sound || pending.is_empty(), "{who} has not been given {pending:?}");
        }
        for round in 0.. {
            assert!(round < ROUNDS, "somebody has no answers after {round} rounds");
            for who in 0..self.options.people {
                self.come_back(who, round % 2 == 0);
            }
            self.settle();
            if (0..self.options.people).all(|who| self.is_quiet(who)) {
                break;
            }
            self.world.wait_s(30);
        }
        for who in 0..self.options.people {
            assert!(self.devices[who].backlog.is_none(), "255 never came");
            let conn = self.lines[who].conn.expect("a connection");
            assert!(self.world.is_read(conn));
            assert_eq!(self.world.disk.pending(self.id(who)), []);
            assert!(self.devices[who].unanswered.is_empty(), "a letter has no answer");
        }
        let expired = &self.world.disk.expired;
        self.packets.assert_nothing_lost(&self.devices, expired);
        let stored: Vec<_> = self.people.iter().map(|one| one.profile.committed()).collect();
        self.letters.assert_all_shown(&stored, expired);
        Strangers::check(&self.world);
        self.assert_all_counted();
        self.count();
        self.assert_all_counted();
    }

    /// Accepts keys, connects, and asks what became of letters.
    fn come_back(&mut self, who: usize, anew: bool) {
        for phone in other_process::held_back(&self.people[who]) {
            self.accept(who, &phone);
        }
        if anew && let Some(conn) = self.lines[who].conn.take() {
            self.world.hang_up(conn);
            self.restart(who);
        }
        if self.lines[who].conn.is_none() {
            let until = self.people[who].messenger.may_connect_at();
            self.world.wait(until.since(self.world.now.instant));
            self.connect(who);
        }
    }

    fn accept(&mut self, who: usize, phone: &Phone) {
        self.with_env(who, |person, env| other_process::accept(person, phone, usize::MAX, env));
    }

    /// Whether nothing is left to be said or heard.
    fn is_quiet(&mut self, who: usize) -> bool {
        let now = self.world.now.unix;
        let is_open = |status| status == Status::Stored;
        let are_held = !other_process::held_back(&self.people[who]).is_empty();
        let Participant { messenger, profile, .. } = &mut self.people[who];
        !are_held
            && profile.stored.outbox.iter().all(|row| !row.is_open() && !is_open(row.status))
            && messenger.is_settled(profile, now).expect("nothing is wrong with the disk")
    }

    /// Every mailbox knows that it is empty: so many letters fit, and not one more.
    fn count(&mut self) {
        let counted = self.options.people.min(COUNTED);
        let mut people = Vec::new();
        for line in self.lines.drain(..).take(counted) {
            let mut person = line.observer.person;
            person.come_to_nothing(&mut self.world);
            people.push(person);
        }
        for who in 0..counted {
            for to in (0..counted).filter(|to| *to != who) {
                let recipient = people[to].id();
                let letters = (0..=self.options.pair_letters)
                    .map(|n| people[who].letter(&mut self.world, recipient, &n.to_le_bytes()));
                let letters: Vec<_> = letters.collect();
                self.world.send(people[who].conn, &letters.concat());
                let said = people[who].hear(&mut self.world);
                let is_answer = |said: &&Said| !matches!(said, Said::Letter(_));
                let answers: Vec<_> = said.iter().filter(is_answer).collect();
                let refused = answers.iter().filter_map(|said| match said {
                    Said::Refused(no) => Some((no.code, no.packet)),
                    _ => None,
                });
                let last = letters.last().map(|letter| crate::packets::id_of(letter));
                let is_full = refused.eq([(ErrorCode::MailboxFull, last)]);
                assert!(is_full, "{who} to {to}: {answers:?}");
                let stored = |said: &&&Said| matches!(said, Said::Fate(_, Status::Stored));
                assert_eq!(
                    answers.iter().filter(stored).count(),
                    self.options.pair_letters as usize,
                    "{who} to {to}"
                );
            }
        }
    }
}
