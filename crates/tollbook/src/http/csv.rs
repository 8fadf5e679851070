//! Lists as CSV: all of the list, read in chunks by key, each in a transaction of its own.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use crate::error::{Error, Result};

/// Rows of one chunk.
pub(crate) const CHUNK: i64 = 1_000;

/// Whether the client asks for CSV.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .any(|it| {
            it.split(';')
                .next()
                .is_some_and(|it| it.trim().eq_ignore_ascii_case("text/csv"))
        })
}

/// Rows of a list, and from where to go on; `None` at its end.
pub(crate) struct Chunk<K> {
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) next: Option<K>,
}

impl<K> Chunk<K> {
    /// What was read of at most [`CHUNK`] rows; fewer are the last.
    pub(crate) fn new<T>(
        rows: &[T],
        key: impl Fn(&T) -> K,
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Self {
        let is_whole = i64::try_from(rows.len()).is_ok_and(|len| len >= CHUNK);
        Self {
            rows: rows.iter().map(cells).collect(),
            next: rows.last().filter(|_| is_whole).map(key),
        }
    }
}

/// Streams a list under the name `name.csv`. `read` reads the chunk after a key; the first one is read before anything
/// is answered, so that a failure still has its status.
pub(crate) async fn stream<K, F, R>(
    name: &str,
    columns: &[impl AsRef<str>],
    read: F,
) -> Result<Response>
where
    K: Send + 'static,
    F: Fn(Option<K>) -> R + Send + 'static,
    R: Future<Output = Result<Chunk<K>>> + Send,
{
    let head: Vec<String> = columns.iter().map(|it| it.as_ref().to_owned()).collect();
    let first = read(None).await?;
    let begin = [lines([&head])?, lines(&first.rows)?].concat();
    let rest = stream::try_unfold((read, first.next), async |(read, next)| {
        let Some(key) = next else {
            return Ok::<_, Error>(None);
        };
        let chunk = read(Some(key)).await?;
        let bytes = lines(&chunk.rows)?;
        Ok(Some((Bytes::from(bytes), (read, chunk.next))))
    });
    let begin = stream::iter([Ok(Bytes::from(begin))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(begin, rest));
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition)
                .map_err(|error| Error::Internal(error.to_string()))?,
        ),
    ];
    Ok((headers, body).into_response())
}

fn lines<'r>(rows: impl IntoIterator<Item = &'r Vec<String>>) -> Result<Vec<u8>> {
    let internal =
        |error: &dyn std::fmt::Display| Error::Internal(format!("a line of CSV: {error}"));
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer
            .write_record(row.iter().map(|cell| guarded(cell)))
            .map_err(|error| internal(&error))?;
    }
    writer.into_inner().map_err(|error| internal(&error))
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe in front. Numbers, phone numbers among them,
/// compute nothing and stay as they are.
fn guarded(cell: &str) -> String {
    let is_number =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let is_formula = match cell.split_at_checked(1) {
        Some(("+" | "-", rest)) => !is_number(rest),
        Some(("=" | "@" | "\t" | "\r" | "\n", _)) => true,
        _ => false,
    };
    if is_formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_only_text() {
        for formula in ["=1+1", "+1+1", "-A1", "@SUM(A1)", "\t=1", "+", "-"] {
            assert_eq!(guarded(formula), format!("'{formula}"));
        }
        for harmless in ["+12025550100", "-12.50", "Ann", "", "1+1", "é"] {
            assert_eq!(guarded(harmless), harmless);
        }
    }

    #[tokio::test]
    async fn chunks_follow_each_other_until_the_end() {
        let read = |after: Option<u32>| async move {
            let from = after.map_or(0, |it| it + 1);
            let rows = (from..from + 2).map(|it| vec![it.to_string(), "a \"b\", c".to_owned()]);
            Ok(Chunk {
                rows: rows.collect(),
                next: (from < 4).then_some(from + 1),
            })
        };
        let response = stream("list", &["id", "name"], read).await.unwrap();
        assert_eq!(
            response.headers()[header::CONTENT_DISPOSITION],
            "attachment; filename=\"list.csv\""
        );
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        let expected: Vec<String> = (0..6)
            .map(|it| format!("{it},\"a \"\"b\"\", c\"\r\n"))
            .collect();
        let expected = expected.concat();
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap(),
            format!("id,name\r\n{expected}")
        );
    }

    #[test]
    fn csv_must_be_asked_for() {
        let wanted = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            is_wanted(&headers)
        };
        assert!(wanted("text/csv") && wanted("application/json;q=0.5, Text/CSV;q=0.9"));
        assert!(!wanted("*/*") && !wanted("text/html"));
    }
}
