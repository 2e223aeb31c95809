//! Whom the server bans by itself.

use serde_json::Value;
use waxwing_core::wire::ErrorCode;
use waxwing_testkit::person::Said;

use crate::line::Door;
use crate::peer::Peer;
use crate::test_server::TestServer;

fn bans(server: &TestServer) -> Vec<Value> {
    let out = server.administer(&["ban", "list", "--json"]).exits(0).out;
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bad_signatures_to_several_loops_count_together_and_end_sessions_from_there() {
    let server = TestServer::with(&[
        ("server.loops", "2"),
        ("server.proxies", "127.0.0.0/8"),
        ("limits.exempt", ""),
        ("limits.ban_after", "4"),
        ("otp.allow_unverified", "true"),
    ]);
    let door = Door::of(&server);
    let [mut one, mut two] =
        [0, 1].map(|at| Peer::new(door, at).introduced([203, 0, 113, 7]).registered());
    let mut other = Peer::new(door, 2).introduced([203, 0, 113, 8]).registered();
    assert_ne!(one.id().get() % 2, two.id().get() % 2, "they are with one loop");
    for round in 0..2 {
        for peer in [&mut one, &mut two] {
            assert!(bans(&server).is_empty(), "in round {round}");
            let mut forged = peer.long();
            *forged.last_mut().unwrap() ^= 1;
            // The last one may be closed before it hears that.
            let said = peer.call(&forged);
            assert!(
                matches!(&said, Some(Said::Refused(no)) if no.code == ErrorCode::BadSignature)
                    || (round, said.is_none()) == (1, true),
                "{said:?}"
            );
        }
    }
    let banned = loop {
        if let [ban] = &bans(&server)[..] {
            break ban.clone();
        }
    };
    assert_eq!((&banned["range"], &banned["automatic"]), (&"203.0.113.7".into(), &true.into()));
    assert!(banned["reason"].as_str().unwrap().contains("4 bad signatures"), "{banned}");
    let long = one.long();
    assert_eq!(one.call(&long), None);
    other.is_served();
}
