//! What a storage holds, as tables that both engines have.

use waxwing_core::crypto::{Digest, Provider};
use waxwing_core::phone::Phone;

use crate::backend::Backend;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// 32 bits.
    Short,
    /// 64 bits.
    Long,
    /// Yes or no; one is yes.
    Flag,
    Text,
    Bytes,
}

/// What is in a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Value {
    Nothing,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The columns of a row, in the order of its table's.
pub(in crate::store) type Row = Vec<Value>;

/// A table. Both engines give it this name, and its columns these names.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) columns: &'static [(&'static str, Kind)],
    /// The columns by which its rows are ordered.
    pub(in crate::store) order: &'static str,
    /// Its rows are as they were found, and what makes no sense in one is left out.
    pub(in crate::store) is_damaged: bool,
}

impl Table {
    const fn new(
        name: &'static str,
        columns: &'static [(&'static str, Kind)],
        order: &'static str,
    ) -> Self {
        Self { name, columns, order, is_damaged: false }
    }

    /// The names of its columns.
    pub(in crate::store) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

use Kind::{Bytes, Flag, Long, Short, Text};

/// All tables. Users come first: letters refer to them.
pub(in crate::store) static TABLES: [Table; 11] = [
    Table::new(
        "users",
        &[
            ("user_id", Short),
            ("phone_number", Text),
            ("rsa_public_key", Bytes),
            ("aes_key", Bytes),
            ("last_seen", Text),
        ],
        "user_id",
    ),
    Table::new("pending_messages", &LETTER, "recipient_id, queue_id"),
    Table { is_damaged: true, ..Table::new("damaged_messages", &DAMAGED_LETTER, "queue_id") },
    Table::new(
        "undelivered_messages",
        &[
            ("recipient_id", Short),
            ("message_id", Bytes),
            ("sender_id", Short),
            ("removed_at", Long),
        ],
        "recipient_id, message_id",
    ),
    Table::new("resting_ids", &[("user_id", Short), ("removed_at", Long)], "user_id"),
    Table::new("allowances", &[("allowance_key", Bytes), ("full_at", Long)], "allowance_key"),
    Table::new("server_keys", &[("fingerprint", Bytes), ("since", Long)], "number"),
    Table::new(
        "suspensions",
        &[("user_id", Short), ("since", Long), ("until", Long), ("reason", Text)],
        "user_id",
    ),
    Table::new("user_limits", &[("user_id", Short), ("letters", Long), ("bytes", Long)], "user_id"),
    Table::new(
        "restores",
        &[("restored_at", Long), ("letters_missing_until", Long)],
        "restored_at, letters_missing_until",
    ),
    Table::new(
        "bans",
        &[
            ("address_range", Text),
            ("since", Long),
            ("ends_at", Long),
            ("is_automatic", Flag),
            ("reason", Text),
        ],
        "address_range",
    ),
];

const LETTER: [(&str, Kind); 8] = [
    ("queue_id", Long),
    ("message_id", Bytes),
    ("sender_id", Short),
    ("recipient_id", Short),
    ("timestamp", Text),
    ("accepted_at", Long),
    ("signature", Bytes),
    ("encrypted_payload", Bytes),
];

const DAMAGED_LETTER: [(&str, Kind); 9] = {
    let [a, b, c, d, e, f, g, h] = LETTER;
    [a, b, c, d, e, f, g, h, ("set_aside_at", Long)]
};

/// All rows of a storage: how many there are, and a digest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many rows each table has, in the order of the tables.
    rows: [u64; TABLES.len()],
    /// How many of the users are accounts of the server itself.
    own_accounts: u64,
    digest: [u8; 32],
}

impl Default for Sum {
    fn default() -> Self {
        Self { rows: [0; TABLES.len()], own_accounts: 0, digest: [0; 32] }
    }
}

impl Sum {
    /// A row of this table, which follows those before.
    pub(in crate::store) fn add(&mut self, table: usize, row: &Row) {
        if let Some(rows) = self.rows.get_mut(table) {
            *rows += 1;
        }
        self.own_accounts += u64::from(is_own_account(table, row));
        let mut bytes = vec![u8::try_from(table).unwrap_or(u8::MAX)];
        for value in row {
            let (kind, content) = match value {
                Value::Nothing => (0, &[][..]),
                Value::Number(number) => (1, &number.to_le_bytes()[..]),
                Value::Text(text) => (2, text.as_bytes()),
                Value::Bytes(content) => (3, &content[..]),
            };
            bytes.push(kind);
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(content);
        }
        self.chain(&bytes);
    }

    /// The highest place that was ever given to a letter.
    pub(in crate::store) fn add_last_place(&mut self, place: i64) {
        self.chain(&place.to_le_bytes());
    }

    fn chain(&mut self, bytes: &[u8]) {
        self.digest = Backend::default().sha256(&[&self.digest, bytes]).0;
    }

    /// How many users there are, without accounts of the server itself.
    #[must_use]
    pub const fn users(&self) -> u64 {
        self.rows[0] - self.own_accounts
    }

    /// How many letters wait for them.
    #[must_use]
    pub const fn letters(&self) -> u64 {
        self.rows[1]
    }

    /// How many rows there are in all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.iter().sum()
    }

    /// The digest of all of it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        Digest(self.digest)
    }
}

fn is_own_account(table: usize, row: &Row) -> bool {
    let phone = row.get(1).filter(|_| table == 0);
    let Some(Value::Text(phone)) = phone else { return false };
    Phone::parse(phone.as_bytes()).is_ok_and(|phone| phone.is_reserved())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn accounts_of_the_server_itself_are_no_users() {
        let mut sum = Sum::default();
        for (id, phone) in [(1, "+15550001111"), (2, "+99900000001"), (3, "+99900000002")] {
            sum.add(0, &vec![Value::Number(id), Value::Text(phone.into())]);
        }
        assert_eq!((sum.users(), sum.rows()), (1, 3));
    }

    #[test]
    fn a_sum_tells_rows_apart_by_their_order_their_table_and_where_a_value_ends() {
        let text = |text: &str| Value::Text(text.into());
        let sum = |rows: &[(usize, Row)]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|(table, row)| sum.add(*table, row));
            sum.digest
        };
        let (a, b) = ((0, vec![text("ab"), text("c")]), (0, vec![Value::Number(7)]));
        let all = [
            sum(&[a.clone(), b.clone()]),
            sum(&[b.clone(), a.clone()]),
            sum(slice::from_ref(&a)),
            sum(&[a.clone(), (1, b.1)]),
            sum(&[(0, vec![text("a"), text("bc")])]),
            sum(&[(0, vec![Value::Bytes(b"ab".to_vec()), text("c")])]),
            sum(&[(0, vec![Value::Nothing, text("c")])]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at}");
        }
        assert_eq!(sum(slice::from_ref(&a)), sum(&[a]));
    }
}
