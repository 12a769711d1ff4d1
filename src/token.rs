//! Boot tokens and session capabilities: short texts that only the holder of the store's key makes.
//!
//! A boot token binds the script's URL, which our DHCP hands out, to one machine and a short time.
//! A capability opens one session for one purpose. Both are an HMAC-SHA-256 cut to 128 bits, in
//! base64url. Source: RFC 2104 §5 (truncation), RFC 4648 §5.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::machine::{MASK, MacAddress, Secret, SessionId, SystemUuid};

/// How long a boot token is valid: long enough for firmware, loader and the wait of a hold screen.
pub const BOOT_TOKEN_VALIDITY: Duration = Duration::from_secs(15 * 60);
/// Expiry times are rounded up to this many seconds, so that a repeated request gets the same token.
const EXPIRY_STEP: i64 = 300;
const TAG_LENGTH: usize = 16;

/// The secret of one store, from which every token and capability is made.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What a capability opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reading kernel, initrd and seeds; it stands on the kernel's command line.
    Seed,
    /// Reporting back; it stands inside the seeds only.
    Callback,
}

/// A capability that was made with our key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The session that it opens.
    pub session: SessionId,
    /// The attempt, from 1, that it was made for.
    pub attempt: u32,
    /// What it is for.
    pub purpose: Purpose,
}

/// Why a boot token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has expired.
    #[error("the boot token has expired")]
    Expired,
    /// It was not made with our key for this machine.
    #[error("the boot token is not valid for this machine")]
    Forged,
}

impl StoreKey {
    /// Wraps 256 random bits.
    pub fn new(bits: [u8; 32]) -> Self {
        Self(Zeroizing::new(bits))
    }

    /// Makes the boot token of a machine, good for at least [`BOOT_TOKEN_VALIDITY`] from `now`.
    ///
    /// `uuid` is the value of DHCP option 97, in either byte order; without it, the token is bound to the
    /// Ethernet address only.
    pub fn boot_token(&self, mac: MacAddress, uuid: Option<SystemUuid>, now: Timestamp) -> Secret {
        let end = now.as_second() + BOOT_TOKEN_VALIDITY.as_secs() as i64;
        let expiry = ((end / EXPIRY_STEP + 1) * EXPIRY_STEP).clamp(0, i64::from(u32::MAX)) as u32;
        let mut bytes = expiry.to_be_bytes().to_vec();
        bytes.extend(self.tag(&boot_token_input(mac, uuid, expiry)));
        Secret::new(BASE64URL_NOPAD.encode(&bytes))
    }

    /// Checks a boot token against the identity that the machine reports.
    ///
    /// # Errors
    /// [`TokenError::Forged`] when it was not made for this machine, else [`TokenError::Expired`].
    pub fn check_boot_token(
        &self,
        token: &str,
        mac: MacAddress,
        uuid: Option<SystemUuid>,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let bytes = BASE64URL_NOPAD
            .decode(token.as_bytes())
            .map_err(|_| TokenError::Forged)?;
        let (expiry, tag) = bytes.split_first_chunk::<4>().ok_or(TokenError::Forged)?;
        let expiry = u32::from_be_bytes(*expiry);
        let made_for = |uuid| self.verify(&boot_token_input(mac, uuid, expiry), tag);
        if !made_for(uuid) && !made_for(None) {
            return Err(TokenError::Forged);
        }
        if now.as_second() >= i64::from(expiry) {
            return Err(TokenError::Expired);
        }
        Ok(())
    }

    /// Makes the text that opens a session.
    pub fn capability(&self, capability: Capability) -> Secret {
        let mut bytes = capability.to_bytes().to_vec();
        bytes.extend(self.tag(&capability_input(&bytes)));
        Secret::new(BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads a capability; `None` when it was not made with this key.
    pub fn read_capability(&self, text: &str) -> Option<Capability> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (body, tag) = bytes.split_first_chunk::<13>()?;
        if !self.verify(&capability_input(body), tag) {
            return None;
        }
        Capability::from_bytes(body)
    }

    fn mac(&self, input: &[u8]) -> Hmac<Sha256> {
        // HMAC fills a key up to the hash's block with zeros. Source: RFC 2104 §2.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0[..]);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(input);
        mac
    }

    fn tag(&self, input: &[u8]) -> [u8; TAG_LENGTH] {
        let full: [u8; 32] = self.mac(input).finalize().into_bytes().into();
        let mut tag = [0; TAG_LENGTH];
        tag.copy_from_slice(&full[..TAG_LENGTH]);
        tag
    }

    /// Compares in constant time; a tag of another length is never valid.
    fn verify(&self, input: &[u8], tag: &[u8]) -> bool {
        tag.len() == TAG_LENGTH && self.mac(input).verify_truncated_left(tag).is_ok()
    }
}

fn boot_token_input(mac: MacAddress, uuid: Option<SystemUuid>, expiry: u32) -> Vec<u8> {
    let mut input = b"boot".to_vec();
    input.extend(expiry.to_be_bytes());
    input.extend(mac.octets());
    input.extend(uuid.into_iter().flat_map(|uuid| uuid.order_free().octets()));
    input
}

fn capability_input(body: &[u8]) -> Vec<u8> {
    [b"session", body].concat()
}

impl Capability {
    fn to_bytes(self) -> [u8; 13] {
        let mut bytes = [0; 13];
        bytes[..8].copy_from_slice(&self.session.bits().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.attempt.to_be_bytes());
        bytes[12] = match self.purpose {
            Purpose::Seed => 1,
            Purpose::Callback => 2,
        };
        bytes
    }

    fn from_bytes(bytes: &[u8; 13]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk::<8>()?;
        let (attempt, purpose) = rest.split_first_chunk::<4>()?;
        let purpose = match purpose {
            [1] => Purpose::Seed,
            [2] => Purpose::Callback,
            _ => return None,
        };
        let session = SessionId::new(u64::from_be_bytes(*session));
        Some(Self {
            session,
            attempt: u32::from_be_bytes(*attempt),
            purpose,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 1, 2, 3]);
    const OTHER: MacAddress = MacAddress::new([0x52, 0x54, 0, 1, 2, 4]);

    fn key() -> StoreKey {
        StoreKey::new([7; 32])
    }

    fn uuid() -> Option<SystemUuid> {
        Some("4c4c4544-0046-3410-8037-b8c04f4d5931".parse().unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_machine_and_time_only() {
        let token = key().boot_token(MAC, uuid(), at(1_000_000));
        let swapped = uuid().map(SystemUuid::swapped);
        let other = Some("ffeeddcc-0046-3410-8037-b8c04f4d5931".parse().unwrap());
        let rows = [
            (MAC, uuid(), 1_000_000, Ok(())),
            (MAC, swapped, 1_000_899, Ok(())),
            (MAC, uuid(), 1_001_200, Err(TokenError::Expired)),
            (OTHER, uuid(), 1_000_000, Err(TokenError::Forged)),
            (MAC, other, 1_000_000, Err(TokenError::Forged)),
            (MAC, None, 1_000_000, Err(TokenError::Forged)),
        ];
        for (mac, uuid, now, expected) in rows {
            assert_eq!(
                key().check_boot_token(token.expose(), mac, uuid, at(now)),
                expected,
                "{mac} {uuid:?} {now}"
            );
        }
        let another_store = StoreKey::new([8; 32]);
        assert_eq!(
            another_store.check_boot_token(token.expose(), MAC, uuid(), at(1_000_000)),
            Err(TokenError::Forged)
        );
    }

    #[test]
    fn a_token_made_without_uuid_vouches_for_the_mac() {
        let token = key().boot_token(MAC, None, at(1_000_000));
        assert_eq!(
            key().check_boot_token(token.expose(), MAC, uuid(), at(1_000_000)),
            Ok(())
        );
    }

    #[test]
    fn a_repeated_request_gets_the_same_token() {
        assert_eq!(
            key().boot_token(MAC, uuid(), at(1_000_001)),
            key().boot_token(MAC, uuid(), at(1_000_009))
        );
    }

    #[test]
    fn capabilities_round_trip_and_serve_one_purpose() {
        let capability = Capability {
            session: SessionId::new(0xabc),
            attempt: 2,
            purpose: Purpose::Callback,
        };
        let secret = key().capability(capability);
        let text = secret.expose();
        assert_eq!(key().read_capability(text), Some(capability));
        assert_eq!(StoreKey::new([8; 32]).read_capability(text), None);
        assert!(
            text.len() < 48
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
    }

    proptest! {
        #[test]
        fn arbitrary_texts_open_nothing(text in any::<String>()) {
            prop_assert_eq!(key().read_capability(&text), None);
            prop_assert_eq!(key().check_boot_token(&text, MAC, None, at(0)), Err(TokenError::Forged));
        }

        #[test]
        fn a_changed_character_opens_nothing(at in 0usize..38, letter in "[A-Za-z0-9_-]") {
            let capability = Capability { session: SessionId::new(1), attempt: 1, purpose: Purpose::Seed };
            let good = key().capability(capability).expose().to_owned();
            let mut bad = good.clone();
            bad.replace_range(at..=at, &letter);
            prop_assume!(bad != good);
            prop_assert_eq!(key().read_capability(&bad), None);
        }
    }
}
