use super::{HEADER_LENGTH, OptionCode};

/// The layout of a message: details that [`super::DhcpMessage::parse`] hides, but that matter to some
/// clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DhcpLayout {
    /// Whether the options end with an END (255).
    pub has_end: bool,
    /// Option 52: the fields that hold more options.
    pub overload: Option<u8>,
    /// The options that are split, each once.
    pub split: Vec<OptionCode>,
}

impl DhcpLayout {
    /// Reads the options field, up to END or to a truncated option.
    ///
    /// Source: RFC 2131 §4.1; RFC 2132 §9.3; RFC 3396 §5.
    pub fn read(bytes: &[u8]) -> Self {
        let mut layout = Self::default();
        let mut seen = [false; 256];
        let mut rest = bytes.get(HEADER_LENGTH..).unwrap_or_default();
        while let Some((&code, after_code)) = rest.split_first() {
            if code == 255 {
                layout.has_end = true;
                break;
            }
            if code == 0 {
                rest = after_code;
                continue;
            }
            let value = after_code
                .split_first()
                .and_then(|(&length, rest)| rest.split_at_checked(length.into()));
            let Some((value, after_value)) = value else {
                break;
            };
            let option = OptionCode::from(code);
            if seen[usize::from(code)] && !layout.split.contains(&option) {
                layout.split.push(option);
            }
            seen[usize::from(code)] = true;
            if option == OptionCode::OptionOverload {
                layout.overload = value.first().copied();
            }
            rest = after_value;
        }
        layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(options: &[u8]) -> DhcpLayout {
        DhcpLayout::read(&[&[0; HEADER_LENGTH][..], options].concat())
    }

    #[test]
    fn split_options_overload_and_a_missing_end_are_found() {
        let whole = layout(&[53, 1, 2, 0, 67, 1, b'a', 255, 67, 1, b'b']);
        assert_eq!((whole.has_end, whole.overload), (true, None));
        assert!(whole.split.is_empty());
        let odd = layout(&[67, 1, b'a', 52, 1, 3, 67, 1, b'b', 67, 0, 9, 9]);
        assert_eq!((odd.has_end, odd.overload), (false, Some(3)));
        assert_eq!(odd.split, [OptionCode::BootfileName]);
        assert_eq!(DhcpLayout::read(&[1; 12]), DhcpLayout::default());
    }
}
