use super::{COMMENT, END};
use crate::wire::byte_order::ByteOrder;

/// Iterates over the options of a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) order: ByteOrder,
    pub(super) bytes: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    /// Returns the next option; an option that exceeds its block ends the iteration.
    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.bytes.split_first_chunk::<4>()?;
        let code = self.order.u16(head, 0);
        let length = usize::from(self.order.u16(head, 2));
        let value = rest.get(..length)?;
        if code == END {
            return None;
        }
        self.bytes = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

/// Iterates over the comments on a frame, as the file holds them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comments<'a>(pub(super) Options<'a>);

impl<'a> Iterator for Comments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0
            .find(|(code, _)| *code == COMMENT)
            .map(|(_, text)| text)
    }
}
