//! The part of a file that a client asks for (RFC 9110, section 14).

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// From the first byte to the last, both counted from 0 and sent.
    Bytes { first: u64, last: u64 },
    /// Nothing: the part begins past the end.
    Unsatisfiable,
}

/// The part that a `Range` header names of a file with `len` bytes. Several parts at once, other units, and what cannot
/// be read are answered with the whole file, as the standard allows.
pub(crate) fn part(header: Option<&str>, len: u64) -> Part {
    let Some((first, last)) = header
        .and_then(|header| header.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let end = len.saturating_sub(1);
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        // The last bytes.
        (Err(_), Ok(count)) if first.trim().is_empty() => match (count, len) {
            (0, _) | (_, 0) => Part::Unsatisfiable,
            _ => Part::Bytes {
                first: len.saturating_sub(count),
                last: end,
            },
        },
        (Ok(first), _) if first >= len => Part::Unsatisfiable,
        (Ok(first), Ok(last)) if first <= last => Part::Bytes {
            first,
            last: last.min(end),
        },
        (Ok(first), Err(_)) if last.trim().is_empty() => Part::Bytes { first, last: end },
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_that_were_asked_for() {
        let bytes = |first, last| Part::Bytes { first, last };
        for (header, expected) in [
            ("bytes=0-0", bytes(0, 0)),
            ("bytes=2-5", bytes(2, 5)),
            ("bytes=2-", bytes(2, 9)),
            ("bytes=2-99", bytes(2, 9)),
            ("bytes=-3", bytes(7, 9)),
            ("bytes=-99", bytes(0, 9)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("pages=1-2", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 10), expected, "{header}");
        }
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-"), 0), Part::Unsatisfiable);
    }
}
