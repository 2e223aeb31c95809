//! How connections, sessions and the server itself end (PROTOCOL.md, "Closing").

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::connection::{Connection, State};
use super::output::{ConnId, Event, Output};
use super::{Env, Server};
use crate::crypto::Provider;
use crate::time::Instant;
use crate::wire::{CloseReason, Op};

/// How far an orderly stop has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stopping {
    /// What was read is being stored and acknowledged, until then at most.
    Until(Instant),
    /// Everybody has been told.
    Done,
}

impl<P: Provider> Server<P> {
    /// A connection has ended.
    pub fn disconnected(&mut self, conn: ConnId) {
        if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) {
            let user = session.user;
            self.outputs.push_back(Output::Event(Event::SessionEnded { user, reason: None }));
        }
        self.forget_connection(conn);
    }

    /// The client sends no more than it has sent. Whoever waits for an answer before a session has
    /// gone: nothing is signed for them.
    pub fn hung_up(&mut self, conn: ConnId) {
        let connection = self.connections.get(&conn);
        let waits =
            |state: &State| matches!(state, State::InLine | State::Called | State::Decided(_));
        if connection.is_some_and(|connection| waits(&connection.state)) {
            self.drop_connection(conn);
        }
    }

    /// Begins an orderly stop: nothing more is read, what was read is stored and acknowledged,
    /// clients are told, and [`Output::Stopped`] comes out, within 5 s.
    pub fn stop(&mut self, env: &mut Env<'_>) {
        self.stopping = Some(Stopping::Until(env.now.instant.after(self.config.deadlines.leaving)));
    }

    /// Whether nothing new is read and nobody is served any more.
    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Tells everybody and says so, once what was read is stored and acknowledged or patience has
    /// ended. Mail from other shards is still dealt with.
    pub(super) fn stop_if_done(&mut self, env: &mut Env<'_>) {
        let Some(Stopping::Until(by)) = self.stopping else { return };
        let is_open = |connection: &mut Box<Connection>| {
            connection.session_mut().is_some_and(|session| session.is_open())
        };
        let done = self.storage.is_idle() && !self.connections.values_mut().any(is_open);
        if done || by <= env.now.instant {
            self.stopping = Some(Stopping::Done);
            let all: Vec<_> = self.connections.keys().copied().collect();
            for conn in all {
                self.end_session(env, conn, Some(CloseReason::ServerStopping));
            }
            self.outputs.push_back(Output::Stopped);
        }
    }

    pub(super) fn out_of_patience(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if matches!(connection.state, State::Sending(_)) {
            self.grant(env, conn);
            return;
        }
        if let Some(session) = connection.session_mut() {
            if session.leaving.is_some() {
                self.farewell(env, conn, true);
                return;
            }
            let stalled = session.window.deadline(&self.config.deadlines);
            if stalled.is_some_and(|at| at <= env.now.instant) {
                self.end_session(env, conn, Some(CloseReason::NoProgress));
                return;
            }
        }
        self.outputs.push_back(Output::Event(Event::TimedOut { conn }));
        self.end_session(env, conn, None);
    }

    /// Answers a client's 222 once everything read before it is stored and acknowledged, or
    /// patience has ended. Whether the connection is gone.
    pub(super) fn farewell(&mut self, env: &mut Env<'_>, conn: ConnId, now: bool) -> bool {
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let Some((leaving, is_open)) = session.and_then(|s| Some((s.leaving?, s.is_open()))) else {
            return true;
        };
        let done = now || (!is_open && self.storage.is_past(leaving.horizon));
        if done {
            self.end_session(env, conn, Some(CloseReason::Leaving));
        }
        done
    }

    /// Ends a connection, telling its client why if it has a session.
    pub(super) fn end_session(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        reason: Option<CloseReason>,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let Some(session) = connection.session_mut() {
            let user = session.user;
            if let Some(reason) = reason {
                self.send_sealed(env, conn, Op::Close, |writer| reason.emit(writer));
            }
            self.outputs.push_back(Output::Event(Event::SessionEnded { user, reason }));
        }
        self.drop_connection(conn);
    }

    pub(super) fn drop_connection(&mut self, conn: ConnId) {
        if self.forget_connection(conn) {
            self.outputs.push_back(Output::Close { conn });
        }
    }

    pub(super) fn forget_connection(&mut self, conn: ConnId) -> bool {
        self.set_packet_since(conn, None);
        let Some(connection) = self.connections.remove(&conn) else { return false };
        self.timers.rearm(conn, connection.armed, None);
        self.half_received = self.half_received.saturating_sub(connection.inbox.len());
        if let State::Sending(sending) = &connection.state {
            self.sending.remove(&sending.ticket);
        }
        if let State::Active(session) = connection.state {
            // The next session finds in storage what this one did not acknowledge.
            self.storage.release_all_of(session.user);
            if self.sessions.get(&session.user) == Some(&conn) {
                self.sessions.remove(&session.user);
            }
        }
        true
    }
}
