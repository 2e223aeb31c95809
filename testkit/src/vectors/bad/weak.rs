//! A key that no backend would load: its modulus is 65,521 times a prime. Whoever has factored it
//! signs like its owner, so a server has to refuse it although everything else about it is right.

use rsa::BoxedUint;
use waxwing_core::crypto::{Provider, RSA_LEN, RustCrypto, SPKI_LEN, Spki};

use crate::vectors::json::unhex;

const MODULUS: &str = "\
    f5e712e78d91022ee6e7aeafa876cd210d1143398f27b577fae15dc138cd7ab7929bf62f217f458fc33bdd5120\
    3af0d6904d27dd4417339da441b84926fc850c43078759d2aaa25e3d815627a08980c5e0e0a89ca9a7b86861c9\
    3f258519c7afc16ef1dda2756dd0c1304a38ac89dbe398527bee8137a119c26425fcfadfbb664635d436998815\
    e1c3f87df89cb8099d85350e128afc657d2912f4894001468ac4f391fe84f929fcce7a56bca73abad9d694d1f0\
    1643b209283365468c86dbc2035e65fbb484baa48555c4797f71735780c6604fae2a76e6ba016348d1c39e695c\
    d55a52bb07496bf495812f998fdca1935f7aeba25f9a4f51e1ec0a290299c9";
const EXPONENT: &str = "\
    68fc878d3e9d41a6ba071776f37698834f7637e4f3aaecb970b5c4fc2d77157eb8aab245a38dd0b7e359ba0837\
    02f0ed8dc7605cb468a66691cdc6d8cacac2c0dc03fbc3bf57f04c0988c2fbe8b36764f34ce437720e57484e64\
    efab148aae1271ed85d566ca764996b036588fa65a36e39ef67dabb42671c11423cea4a1937c1e8abee7b5d703\
    e39f695bee26a817808bca4c00fa775fa266f5969d756931d931eebfa58972520471c0e946ba778cc2affa8913\
    ab0cfceefb0c585271010a29e008c11c3b92d8f6951578f93674774a764c75d51a737f3c0c45a07bc2028236da\
    c538250e032185fcde3a369022c1181650fe55d38e341ab730e924a71da881";

/// DigestInfo of SHA-256 up to the digest (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: &str = "3031300d060960864801650304020105000420";

pub(super) fn spki() -> [u8; SPKI_LEN] {
    *Spki::from_modulus(&unhex(MODULUS).try_into().unwrap()).unwrap().as_bytes()
}

/// Appends a signature with the weak key.
pub(super) fn sign(mut bytes: Vec<u8>) -> Vec<u8> {
    let tail = [unhex(DIGEST_INFO), RustCrypto.sha256(&[&bytes]).0.to_vec()].concat();
    let mut encoded = vec![0xff; RSA_LEN - tail.len()];
    (encoded[0], encoded[1]) = (0, 1);
    *encoded.last_mut().unwrap() = 0;
    encoded.extend(tail);
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).unwrap();
    let modulus = number(&unhex(MODULUS)).to_odd().unwrap();
    let signature = number(&encoded).pow_mod(&number(&unhex(EXPONENT)), &modulus);
    bytes.extend_from_slice(&signature.to_be_bytes());
    bytes
}
