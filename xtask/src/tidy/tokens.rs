//! Rust source as a flat list of tokens, so that words in comments and texts are not taken for code.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token and its line, counted from 1.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Whether it is a literal, such as a text, and not code.
    pub(crate) is_literal: bool,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.is_literal && self.text == text
    }
}

/// The tokens of a file, brackets included.
pub(crate) fn tokens(path: &str, text: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error| anyhow!("`{path}` is not Rust: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let mut push = |line: usize, text: &str, is_literal| {
            tokens.push(Token {
                line,
                text: text.to_owned(),
                is_literal,
            });
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(group.span_open().start().line, open, false);
                flatten(group.stream(), tokens);
                tokens.push(Token {
                    line: group.span_close().start().line,
                    text: close.to_owned(),
                    is_literal: false,
                });
            }
            TokenTree::Ident(ident) => push(ident.span().start().line, &ident.to_string(), false),
            TokenTree::Punct(punct) => push(
                punct.span().start().line,
                &punct.as_char().to_string(),
                false,
            ),
            TokenTree::Literal(literal) => {
                push(literal.span().start().line, &literal.to_string(), true);
            }
        }
    }
}

/// The lines at which code reads exactly like `pattern`, token by token.
pub(crate) fn occurrences<'a>(
    tokens: &'a [Token],
    pattern: &'a [&str],
) -> impl Iterator<Item = usize> + 'a {
    let matches = move |window: &&[Token]| {
        window
            .iter()
            .zip(pattern)
            .all(|(token, text)| token.is(text))
    };
    tokens
        .windows(pattern.len())
        .filter(matches)
        .filter_map(|window| Some(window.first()?.line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_comments_and_texts() {
        let source = "// dbg!(a)\nlet a = \"dbg!(b)\";\n\ndbg!(c);";
        let tokens = tokens("a.rs", source).unwrap();
        assert_eq!(occurrences(&tokens, &["dbg", "!"]).collect::<Vec<_>>(), [4]);
    }
}
