//! Understanding what the server says: nothing without its signature, nothing out of sequence,
//! nothing that is meant for somebody else.

use std::collections::HashSet;

use waxwing::backend::{provider, rng};
use waxwing_core::crypto::{PrivateKey, SessionSeal, Unverified, Verified};
use waxwing_core::wire::{
    BacklogSize, BacklogToken, CloseReason, ErrorCode, KeyAnswer, Op, OtpGrant, Packet, Refusal,
    RegistrationRejected, SessionGrant, Status, StatusToken, Statuses,
};
use waxwing_testkit::packets;
use waxwing_testkit::person::{No, Said};

use super::Peer;

impl Peer {
    /// The next thing that the server says; `None` when it has closed.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Option<Said> {
        while self.heard.is_empty() {
            let packet = self.line().packet()?;
            self.understand(packet);
        }
        let said = self.heard.pop_front();
        if let (Some(Said::BacklogEnd(_)), Some(seal)) = (&said, &self.seal) {
            self.last_key = Some(seal.key().clone());
        }
        said
    }

    /// The refusal that comes next.
    #[track_caller]
    pub(crate) fn hear_no(&mut self) -> No {
        match self.hear() {
            Some(Said::Refused(no)) => no,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn hear_letter(&mut self) -> Vec<u8> {
        match self.hear() {
            Some(Said::Letter(letter)) => letter,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until all these letters have this status; lower ones may come before.
    #[track_caller]
    pub(crate) fn hear_fates(&mut self, letters: &[Vec<u8>], status: Status) {
        let mut open: HashSet<_> = letters.iter().map(|letter| packets::id_of(letter).0).collect();
        while !open.is_empty() {
            match self.hear() {
                Some(Said::Fate(of, found)) if found == status => open.remove(&of.0),
                Some(Said::Fate(..)) => false,
                other => panic!("{other:?}"),
            };
        }
    }

    fn understand(&mut self, mut bytes: Vec<u8>) {
        let header = *Packet::parse(&bytes[..]).unwrap().header();
        let op = Op::from_code(header.op_code).unwrap();
        if header.recipient.is_some() && op != Op::SessionIssued {
            assert_eq!(header.recipient, self.id, "another's packet");
        }
        if op == Op::Letter {
            self.heard.push_back(Said::Letter(bytes));
            return;
        }
        assert_eq!(header.sender, None);
        let packet = Packet::parse(&mut bytes[..]).unwrap();
        let packet = Unverified::new(&provider(), packet).verify(&self.door.key).expect("signed");
        match (op, header.recipient) {
            (Op::OtpIssued, None) => {
                let content = self.reply_key.open(&provider(), packet).unwrap();
                let OtpGrant { ttl_s, attempts, otp, .. } = OtpGrant::parse(content).unwrap();
                let code = otp.map(|otp| otp.expose().to_vec());
                self.heard.push_back(Said::CodeIssued { attempts, ttl_s, code });
            }
            (Op::RegistrationRejected, None) => {
                let content = self.reply_key.open(&provider(), packet).unwrap();
                RegistrationRejected::parse(content).unwrap();
                self.heard.push_back(Said::PhoneTaken);
            }
            (Op::SessionIssued | Op::SessionRenewed, Some(id)) => {
                let mut block = [0; SessionGrant::LEN];
                let sealed = packet.payload().try_into().unwrap();
                let label = op.oaep_label();
                let len = self.key.oaep_open(&mut rng(), label, sealed, &mut block).unwrap();
                let grant = SessionGrant::parse(&block[..len]).unwrap();
                assert!(self.nonces.contains(&grant.nonce), "the answer to another's request");
                self.nonces = vec![grant.nonce];
                self.id = Some(id);
                self.seal = Some(SessionSeal::new(grant.session_key));
                self.heard.push_back(Said::SessionOffered(op));
            }
            (Op::Refusal, None) => self.heard.push_back(refusal(packet.payload())),
            (Op::Acknowledgment | Op::BacklogEnd, None) => self.open_tokens(op, packet),
            (_, Some(_)) => {
                let seal = self.seal.as_mut().unwrap();
                let content = seal.open(&provider(), packet).expect("in sequence");
                self.heard.extend(opened(op, content));
            }
            _ => panic!("an open {op}"),
        }
    }

    /// What is somebody else's comes out as noise.
    fn open_tokens(&mut self, op: Op, packet: Verified<&mut [u8]>) {
        let key = self.seal.as_ref().unwrap().key();
        for token in key.open_tokens(&provider(), packet).unwrap() {
            if op == Op::BacklogEnd {
                let size = BacklogToken::parse(token, &self.nonces[0]);
                self.heard.extend(size.map(|size| Said::BacklogEnd(size.0)));
            } else if let Some(StatusToken { letter, status }) = StatusToken::parse(token) {
                let mine = self.sent.iter().rev().find(|id| id.prefix() == letter);
                self.heard.extend(mine.map(|id| Said::Fate(*id, status)));
            }
        }
    }
}

fn opened(op: Op, content: &[u8]) -> Vec<Said> {
    match op {
        Op::Acknowledgment => {
            Statuses::parse(content).unwrap().map(|(id, status)| Said::Fate(id, status)).collect()
        }
        Op::KeyAnswer => vec![Said::Key(Box::new(KeyAnswer::parse(content).unwrap()))],
        Op::BacklogEnd => vec![Said::BacklogEnd(BacklogSize::parse(content).unwrap().0)],
        Op::Close => vec![Said::Closed(CloseReason::parse(content).unwrap())],
        Op::Refusal => vec![refusal(content)],
        _ => panic!("a sealed {op}"),
    }
}

fn refusal(body: &[u8]) -> Said {
    let Refusal { code, op, retry_after_s, packet, .. } = Refusal::parse(body).unwrap();
    Said::Refused(No { code: ErrorCode::from_code(code).unwrap(), op, retry_after_s, packet })
}
