use super::error::{NAME_LIMIT, SIZE_LIMIT, TarError};

/// A name that is too long to open.
pub const TOO_LONG: TarError = TarError::Damaged("a name of more than 4096 bytes");

/// The attributes of a pax header that matter here.
#[derive(Default)]
pub struct Attributes {
    pub path: Option<String>,
    pub link: Option<String>,
    pub size: Option<u64>,
    /// Whether the entry is a sparse file.
    pub is_sparse: bool,
}

impl Attributes {
    /// Reads `length key=value` lines; the length is the length of the whole line.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        const INVALID: TarError = TarError::Damaged("an invalid extended attribute");
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|byte| *byte == b' ').ok_or(INVALID)?;
            let length: usize = str::from_utf8(&bytes[..blank])
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(INVALID)?;
            let (line, rest) = bytes.split_at_checked(length).ok_or(INVALID)?;
            let line = line
                .get(blank + 1..)
                .and_then(|line| line.strip_suffix(b"\n"))
                .ok_or(INVALID)?;
            let equals = line.iter().position(|byte| *byte == b'=').ok_or(INVALID)?;
            self.set(&line[..equals], &line[equals + 1..])?;
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let name = || match value.len() {
            0..=NAME_LIMIT => Ok(String::from_utf8_lossy(value).into_owned()),
            _ => Err(TOO_LONG),
        };
        match key {
            b"path" => self.path = Some(name()?),
            b"linkpath" => self.link = Some(name()?),
            b"size" => {
                let digits = value.iter().all(u8::is_ascii_digit);
                let size = str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                let size = size.filter(|size| digits && *size <= SIZE_LIMIT);
                let invalid = TarError::Damaged("an invalid file size");
                self.size = Some(size.ok_or(invalid)?);
            }
            key if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
            _ => {}
        }
        Ok(())
    }
}
