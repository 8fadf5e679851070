//! From text to the words under which a thing is found, and from what is typed to the words that are looked for.

use std::collections::BTreeSet;

use tollbook_core::phone::E164;

/// Most words of one text; a longer text is found by its first ones.
const WORDS_MAX: usize = 16;
/// Longest word, in characters; the rest of a longer one is not looked at.
const WORD_LEN_MAX: usize = 64;
/// What is written between the digits of a phone number.
const PHONE_MARKS: [char; 9] = ['+', '(', ')', '-', '.', '/', ' ', '\u{a0}', '\u{2011}'];

/// The words of a text: letters and digits in lower case, each once.
pub(crate) fn words(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(|word| word.to_lowercase().chars().take(WORD_LEN_MAX).collect())
        .collect()
}

/// A phone number is found by its beginning in international and in national form, and by its last four digits.
pub(crate) fn number_terms(number: &E164) -> BTreeSet<String> {
    let digits = number.digits();
    let national: String = number
        .country()
        .map(|country| number.display_in(&country))
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let last = digits.get(digits.len().saturating_sub(4)..);
    [digits, &national, last.unwrap_or_default()]
        .into_iter()
        .filter(|term| !term.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What is looked for: things that have, for each of these, a word that begins with it. The longest comes first, since
/// it finds the fewest. A phone number in any spelling is one word.
pub(crate) fn query_words(typed: &str) -> Vec<String> {
    let is_number = typed
        .chars()
        .all(|it| it.is_ascii_digit() || PHONE_MARKS.contains(&it));
    if is_number {
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").unwrap_or(&digits);
        return Some(digits.to_owned())
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
    }
    let mut found: Vec<String> = words(typed).into_iter().collect();
    found.sort_by_key(|word| std::cmp::Reverse(word.len()));
    found
}

/// Everything that begins with `word` is at or after the first and before the second.
pub(super) fn range(word: &str) -> (String, String) {
    (word.to_owned(), format!("{word}\u{10ffff}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn a_name_is_its_words() {
        assert_eq!(
            words("O'Brien & Söhne GmbH, GMBH"),
            set(&["o", "brien", "söhne", "gmbh"])
        );
        assert!(words(" - ").is_empty());
        assert_eq!(words(&"x".repeat(100)), set(&[&"x".repeat(64)]));
    }

    #[test]
    fn a_number_is_found_in_every_form() {
        let american: E164 = "+12024561111".parse().unwrap();
        assert_eq!(
            number_terms(&american),
            set(&["12024561111", "2024561111", "1111"])
        );
        let german: E164 = "+493012345678".parse().unwrap();
        assert_eq!(
            number_terms(&german),
            set(&["493012345678", "03012345678", "5678"])
        );
        for typed in ["+1 202 456", "(202) 456", "202.456-1111", "1111", "001 202"] {
            let [word] = query_words(typed).try_into().unwrap();
            let (from, to) = range(&word);
            let is_found = number_terms(&american)
                .iter()
                .any(|term| *term >= from && *term < to);
            assert!(is_found, "{typed}");
        }
    }

    #[test]
    fn the_longest_word_drives_a_search() {
        assert_eq!(query_words("dana Whitfield"), ["whitfield", "dana"]);
        assert!(query_words(" ( ) ").is_empty());
        assert_eq!(query_words("line 2"), ["line", "2"]);
    }
}
