//! Lists: `{"data": […], "nextCursor": …}`, read by key and never by counting.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::input::parse_pairs;
use crate::error::{Error, Result};

const LIMIT_DEFAULT: u16 = 50;
const LIMIT_MAX: u16 = 200;

/// One page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List<T> {
    /// The rows of the page.
    pub(crate) data: Vec<T>,
    /// Leads to the next page; `None` on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Which page of a list is asked for: `?limit=&cursor=`.
#[derive(Debug, Clone)]
pub(crate) struct Paging {
    limit: u16,
    cursor: Option<String>,
}

impl Paging {
    /// How many rows to read: one more than are shown, which tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The key of the last row of the page before; `None` on the first page.
    pub(crate) fn key<K: DeserializeOwned>(&self) -> Result<Option<K>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .map(Some)
            .ok_or_else(|| Error::invalid("cursor", "is not one that this list gave out"))
    }

    /// The page made of the rows that were read; `key` is what the list is ordered by.
    pub(crate) fn page<T, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<List<T>> {
        let has_more = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        let next_cursor = match rows.last().filter(|_| has_more) {
            Some(last) => {
                let json = serde_json::to_vec(&key(last)).map_err(|error| {
                    Error::Internal(format!("a cursor cannot be made: {error}"))
                })?;
                Some(URL_SAFE_NO_PAD.encode(json))
            }
            None => None,
        };
        Ok(List {
            data: rows,
            next_cursor,
        })
    }
}

impl<T> List<T> {
    /// The same page with other rows.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> List<U> {
        List {
            data: self.data.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        #[derive(Deserialize)]
        struct Query {
            limit: Option<u16>,
            cursor: Option<String>,
        }
        let query: Query = parse_pairs(parts.uri.query().unwrap_or_default().as_bytes())?;
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid(
                "limit",
                format!("must be from 1 to {LIMIT_MAX}"),
            ));
        }
        Ok(Self {
            limit,
            cursor: query.cursor.filter(|it| !it.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn paging(query: &str) -> Result<Paging> {
        let (mut parts, ()) = Request::get(format!("/calls?{query}"))
            .body(())
            .unwrap()
            .into_parts();
        Paging::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_overlap() {
        let rows: Vec<u32> = (0..7).collect();
        let mut seen = Vec::new();
        let mut query = "limit=3".to_owned();
        loop {
            let paging = paging(&query).await.unwrap();
            let after = paging.key::<u32>().unwrap().map_or(0, |key| key + 1);
            let read: Vec<_> = rows
                .iter()
                .copied()
                .filter(|row| *row >= after)
                .take(usize::try_from(paging.rows()).unwrap())
                .collect();
            let list = paging.page(read, |row| *row).unwrap();
            seen.extend(list.data);
            match list.next_cursor {
                Some(cursor) => query = format!("limit=3&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, rows);
    }

    #[tokio::test]
    async fn bad_limits_and_cursors_are_named() {
        for query in ["limit=0", "limit=201", "limit=x", "limit=-1"] {
            assert!(
                paging(query)
                    .await
                    .unwrap_err()
                    .to_string()
                    .starts_with("`limit`"),
                "{query}"
            );
        }
        let paging = paging("cursor=nonsense").await.unwrap();
        assert!(
            paging
                .key::<u32>()
                .unwrap_err()
                .to_string()
                .starts_with("`cursor`")
        );
    }
}
