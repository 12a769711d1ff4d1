//! Secret keys in minisign's file format, and signatures by them.
//!
//! Source: minisign(1), "Secret key format", "Public key format" and "Signature format".

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest};
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};

use crate::inventory::{KeyId, PublicKey};

const ALGORITHM: &[u8; 2] = b"Ed";
/// The signature is over the BLAKE2b hash of the content.
const PREHASHED: &[u8; 2] = b"ED";
const CHECKSUM: &[u8; 2] = b"B2";
const SCRYPT: &[u8; 2] = b"Sc";
const NOT_ENCRYPTED: &[u8; 2] = &[0, 0];
/// The length of a secret key's second line in bytes: algorithms, salt, limits, identifier, key and
/// checksum.
const SECRET_LENGTH: usize = 158;
/// The offset of the identifier in it.
const BODY: usize = 54;
/// The largest key file that is read, in bytes.
const FILE_LIMIT: u64 = 4096;

/// A secret key that signs bundles. It is never printed.
pub struct SecretKey {
    id: [u8; 8],
    key: SigningKey,
}

/// Why a key cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a secret key.
    #[error("`{}` is not a minisign secret key", .0.display())]
    NotAKey(PathBuf),
    /// The key is encrypted with a password, and only minisign can decrypt it.
    #[error("the key `{}` is encrypted with a password", .0.display())]
    Encrypted(PathBuf),
    /// The system has no random numbers.
    #[error("cannot get random numbers from the system: {0}")]
    NoRandomness(getrandom::Error),
}

impl KeyError {
    /// Returns the next command or edit that helps, if there is one.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Encrypted(_) => {
                "sign the output of `pxectl bundle sign NAME --print` with `minisign -S`, then add the signature with `--signature FILE`"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "keys are never overwritten: name another file"
            }
            Self::NotAKey(_) => "create a key with `pxectl bundle keygen` or `minisign -G -W`",
            Self::Io { .. } | Self::NoRandomness(_) => return None,
        };
        Some(help.to_owned())
    }
}

impl SecretKey {
    /// Creates a new key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        getrandom::fill(&mut id)
            .and_then(|()| getrandom::fill(&mut seed))
            .map_err(KeyError::NoRandomness)?;
        let key = SigningKey::from_bytes(&seed);
        Ok(Self { id, key })
    }

    /// Reads a key file, also one from `minisign -G -W`.
    ///
    /// # Errors
    /// When the file cannot be read, is not a secret key, or is encrypted with a password.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(FILE_LIMIT)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let not_a_key = || KeyError::NotAKey(path.to_owned());
        let line = text.lines().nth(1).ok_or_else(not_a_key)?;
        let bytes: [u8; SECRET_LENGTH] = BASE64
            .decode(line.trim().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(not_a_key)?;
        let is = |at: usize, word: &[u8; 2]| bytes.get(at..at + 2) == Some(word.as_slice());
        if !is(0, ALGORITHM) || !is(4, CHECKSUM) {
            return Err(not_a_key());
        }
        if is(2, SCRYPT) {
            return Err(KeyError::Encrypted(path.to_owned()));
        }
        let (head, body) = bytes.split_at(BODY);
        let (id, rest) = body.split_first_chunk::<8>().ok_or_else(not_a_key)?;
        let (pair, _) = rest.split_first_chunk::<64>().ok_or_else(not_a_key)?;
        // Signatures by a pair that does not match would reveal the secret.
        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| not_a_key())?;
        let known = &head[2..4] == NOT_ENCRYPTED;
        known.then_some(Self { id: *id, key }).ok_or_else(not_a_key)
    }

    /// Writes the key to a new file that only its owner can read, and the public key to the same path with
    /// the suffix `.pub`. Returns the path of the public key.
    ///
    /// # Errors
    /// When either file exists, or the disk fails; leaves nothing behind then.
    pub fn write(&self, path: &Path) -> Result<PathBuf, KeyError> {
        let mut public = path.as_os_str().to_owned();
        public.push(".pub");
        let public = PathBuf::from(public);
        let id = self.id();
        let secret_line = BASE64.encode(&self.bytes());
        create(
            path,
            0o600,
            &format!("untrusted comment: minisign encrypted secret key\n{secret_line}\n"),
        )?;
        let text = format!(
            "untrusted comment: minisign public key {id}\n{}\n",
            self.public_text()
        );
        create(&public, 0o644, &text).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })?;
        Ok(public)
    }

    /// Returns the identifier of the key.
    pub fn id(&self) -> KeyId {
        KeyId::new(self.id)
    }

    /// Returns the public key.
    pub fn public(&self) -> Option<PublicKey> {
        self.public_text().parse().ok()
    }

    /// Signs some content, and returns the four lines of a minisign signature. `comment`, a single line, is
    /// signed too.
    pub fn sign(&self, content: &[u8], comment: &str) -> String {
        let hash = Blake2b512::digest(content);
        let signature = self.key.sign(&hash).to_bytes();
        let comment: String = (comment.chars())
            .filter(|c| *c == '\t' || !c.is_control())
            .collect();
        let global = self.key.sign(&[&signature, comment.as_bytes()].concat());
        format!(
            "untrusted comment: signature from pxectl, key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.id(),
            BASE64.encode(&[PREHASHED.as_slice(), &self.id, &signature].concat()),
            BASE64.encode(&global.to_bytes()),
        )
    }

    fn public_text(&self) -> String {
        let key = self.key.verifying_key().to_bytes();
        BASE64.encode(&[ALGORITHM.as_slice(), &self.id, &key].concat())
    }

    fn bytes(&self) -> Vec<u8> {
        let pair = self.key.to_keypair_bytes();
        let checksum = Blake2b::<U32>::new()
            .chain_update(ALGORITHM)
            .chain_update(self.id)
            .chain_update(pair)
            .finalize();
        let mut bytes = [ALGORITHM.as_slice(), NOT_ENCRYPTED, CHECKSUM].concat();
        // Salt and limits of the encryption, which is not used.
        bytes.resize(BODY, 0);
        bytes.extend(self.id);
        bytes.extend(pair);
        bytes.extend(checksum);
        bytes
    }
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), KeyError> {
    let failed = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = opened.map_err(failed)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|source| {
        let _ = fs::remove_file(path);
        failed(source)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::{Bundle, SignatureError, SignaturePolicy, SiteKey};

    fn bundle() -> Bundle {
        Bundle {
            name: "b".into(),
            arch: "x86_64".into(),
            expires: None,
            signatures: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    fn site_key(name: &str, key: &SecretKey) -> SiteKey {
        SiteKey {
            name: name.into(),
            key: key.public().unwrap(),
        }
    }

    #[test]
    fn a_key_round_trips_through_a_file_that_only_its_owner_can_read() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("release");
        let key = SecretKey::generate().unwrap();
        let public = key.write(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = SecretKey::read(&path).unwrap();
        assert_eq!(again.public(), key.public());
        let text = fs::read_to_string(&public).unwrap();
        assert_eq!(
            text.lines().nth(1),
            Some(key.public().unwrap().to_string().as_str())
        );
        // Neither file is overwritten, and no single file of a pair is left.
        let other = SecretKey::generate().unwrap();
        assert!(other.write(&path).is_err());
        fs::remove_file(&path).unwrap();
        assert!(other.write(&path).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn other_files_are_not_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = SecretKey::generate().unwrap();
        let mut protected = key.bytes();
        protected[2..4].copy_from_slice(SCRYPT);
        let mut torn = key.bytes();
        torn[BODY + 8 + 40] ^= 1;
        for (bytes, encrypted) in [(protected, true), (torn, false), (vec![0; 158], false)] {
            let line = BASE64.encode(&bytes);
            fs::write(&path, format!("untrusted comment: a\n{line}\n")).unwrap();
            match SecretKey::read(&path) {
                Err(KeyError::Encrypted(_)) => assert!(encrypted),
                Err(KeyError::NotAKey(_)) => assert!(!encrypted),
                _ => panic!("it was taken for a key"),
            }
        }
        for text in ["", "RWQ", "a\nb\n"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(SecretKey::read(&path), Err(KeyError::NotAKey(_))));
        }
    }

    #[test]
    fn only_a_valid_signature_by_a_key_of_the_site_counts() {
        let (old, new, stranger) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let policy = SignaturePolicy {
            required: true,
            keys: vec![site_key("new", &new)],
            revoked: vec![site_key("old", &old)],
        };
        let signed = |keys: &[&SecretKey]| {
            let mut bundle = bundle();
            let manifest = bundle.manifest();
            bundle.signatures = keys.iter().map(|key| key.sign(&manifest, "a")).collect();
            bundle
        };
        assert_eq!(policy.check(&bundle()), Err(SignatureError::Unsigned));
        assert_eq!(policy.check(&signed(&[&new])), Ok(vec!["new"]));
        assert_eq!(policy.check(&signed(&[&old, &new])), Ok(vec!["new"]));
        assert_eq!(
            policy.check(&signed(&[&old])),
            Err(SignatureError::Revoked("old".into()))
        );
        assert_eq!(
            policy.check(&signed(&[&stranger])),
            Err(SignatureError::UnknownKey(vec![stranger.id()]))
        );
        let mut changed = signed(&[&new]);
        changed.name = "c".into();
        let wrong = Err(SignatureError::Wrong { key: "new".into() });
        assert_eq!(policy.check(&changed), wrong);
        // An invalid signature is an error besides a valid one, and if signatures are not required.
        let mut both = signed(&[&new]);
        both.signatures.push(new.sign(b"another", "a"));
        assert_eq!(policy.check(&both), wrong);
        let relaxed = SignaturePolicy {
            required: false,
            ..policy.clone()
        };
        assert_eq!(relaxed.check(&changed), wrong);
        assert_eq!(relaxed.check(&bundle()), Ok(Vec::new()));
        assert_eq!(relaxed.check(&signed(&[&stranger])), Ok(Vec::new()));
        // A revoked key is refused even if signatures are not required, unless another key of the site
        // has signed, too.
        for others in [&[&old][..], &[&old, &stranger], &[&stranger, &old]] {
            let revoked = Err(SignatureError::Revoked("old".into()));
            assert_eq!(relaxed.check(&signed(others)), revoked);
        }
        assert_eq!(relaxed.check(&signed(&[&old, &new])), Ok(vec!["new"]));
        // A key in both lists is revoked.
        let mut both_lists = relaxed.clone();
        both_lists.revoked.push(site_key("new", &new));
        assert!(both_lists.check(&signed(&[&new])).is_err());
        // The comment is signed too.
        let mut commented = signed(&[&new]);
        commented.signatures[0] = commented.signatures[0].replace("comment: a", "comment: b");
        assert_eq!(policy.check(&commented), wrong);
        commented.signatures[0] = "one\ntwo\n".into();
        assert_eq!(policy.check(&commented), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_signed_bundle_round_trips_through_its_manifest_with_the_same_digest() {
        let key = SecretKey::generate().unwrap();
        let mut bundle = bundle();
        assert_eq!(bundle.envelope(), bundle.manifest());
        let manifest = bundle.manifest();
        bundle.expires = Some(jiff::civil::date(2027, 5, 1));
        bundle.signatures = vec![key.sign(&manifest, "timestamp:1")];
        assert_ne!(bundle.envelope(), bundle.manifest());
        assert_eq!(bundle.manifest(), manifest);
        assert_eq!(Bundle::from_manifest(&bundle.envelope()), Ok(bundle));
    }
}
