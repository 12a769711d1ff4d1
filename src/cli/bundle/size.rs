use crate::inventory::Bundle;

/// Writes a size in its largest unit.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    for unit in ["KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Returns the total size of a bundle's files in bytes.
pub fn total_size(bundle: &Bundle) -> u64 {
    let sizes = bundle.files.values().map(|file| file.size);
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_written_in_their_largest_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (61_234_567, "58.4 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
