//! Tables of op and error codes that stand a second time, in the dissector for Wireshark and in the
//! Python client, have the codes that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use waxwing_core::wire::{ErrorCode, Op};

/// The numbers of the table that begins with this line of a file and ends with an empty one.
fn codes(file: &str, begin: &str) -> BTreeSet<u16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(file)).unwrap();
    let (_, table) = text.split_once(&format!("{begin}\n")).expect("the begin of the table");
    let rows = table.lines().take_while(|line| !line.is_empty() && !line.starts_with('}'));
    rows.map(|row| {
        let digits = row.chars().skip_while(|c| !c.is_ascii_digit());
        digits.take_while(char::is_ascii_digit).collect::<String>().parse().expect("a code")
    })
    .collect()
}

#[test]
fn all_op_codes_are_everywhere() {
    let ops: BTreeSet<_> = Op::ALL.iter().map(|op| u16::from(op.code())).collect();
    assert_eq!(codes("wireshark/waxwing.lua", "local OPS = {"), ops);
    assert_eq!(codes("clients/python/waxwing_py/packet.py", "class Op(IntEnum):"), ops);
}

#[test]
fn all_error_codes_are_everywhere() {
    let errors: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes("wireshark/waxwing.lua", "local CODES = {"), errors);
    assert_eq!(codes("clients/python/waxwing_py/bodies.py", "class Code(IntEnum):"), errors);
}
