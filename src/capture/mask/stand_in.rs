/// Replaces a secret by letters that reveal only its length.
///
/// The bytes at even positions keep their sum, and so do the bytes at odd positions: every checksum over
/// them stays as valid or invalid as before, at any alignment. The same secret always gets the same
/// letters, so that a request can still be matched with its offer. The two sums reveal fewer than 20 of
/// the 128 bits of a tag.
///
/// Source: RFC 1071 §1, the sum of 16-bit words.
pub fn stand_in(secret: &mut [u8]) {
    for first in 0..2 {
        let column = || secret.iter().skip(first).step_by(2);
        let (count, total) = (column().count(), column().map(|it| u32::from(*it)).sum());
        let letters = letters(count, total);
        for (byte, letter) in secret.iter_mut().skip(first).step_by(2).zip(letters) {
            *byte = letter;
        }
    }
}

/// Returns letters with a given sum, as similar as possible.
fn letters(count: usize, mut total: u32) -> Vec<u8> {
    let mut letters = Vec::with_capacity(count);
    for left in (1..=count as u32).rev() {
        let mean = (total / left) as u8;
        let letter = match left {
            1 => mean,
            2 => half(total),
            _ => nearest(mean),
        };
        letters.push(letter);
        total -= u32::from(letter);
    }
    letters
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Returns the letter nearest to a value.
fn nearest(value: u8) -> u8 {
    let around = (0..=u8::MAX).flat_map(|by| [value.saturating_sub(by), value.saturating_add(by)]);
    let mut letters = around.filter(|byte| is_letter(*byte));
    letters.next().unwrap_or(value)
}

/// Returns a letter that, with another letter, has the given sum; if there is no such pair, half of the
/// sum.
fn half(total: u32) -> u8 {
    let half = (total / 2) as u8;
    let rest = |byte: u8| u8::try_from(total.checked_sub(byte.into())?).ok();
    let around = (0..=u8::MAX).map(|by| half.saturating_sub(by));
    let mut letters = around.filter(|byte| is_letter(*byte));
    letters
        .find(|byte| rest(*byte).is_some_and(is_letter))
        .unwrap_or(half)
}
