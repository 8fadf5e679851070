//! Plan versions made ready for rating. Published versions never change, so a node prepares each once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgConnection;
use tollbook_core::ids::PlanVersionId;
use tollbook_core::plans::Document;
use tollbook_core::rating::{Surroundings, Terms};
use tollbook_core::time::Zone;
use uuid::Uuid;

use crate::error::{Error, Result};

/// Beyond this many, all are forgotten and prepared again as needed.
const KEPT_MAX: usize = 10_000;

/// A plan version in a zone: the zone decides where its bands lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TermsKey {
    pub(crate) seller: Uuid,
    pub(crate) version: PlanVersionId,
    pub(crate) zone: String,
}

/// The plan versions that this node has prepared.
#[derive(Debug, Default)]
pub(crate) struct TermsCache(Mutex<HashMap<TermsKey, Arc<Terms>>>);

impl TermsCache {
    /// The terms of these keys, those not prepared yet read in one query.
    pub(crate) async fn get(
        &self,
        tx: &mut PgConnection,
        keys: &[TermsKey],
    ) -> Result<HashMap<TermsKey, Arc<Terms>>> {
        let (mut found, missing) = self.known(keys);
        if missing.is_empty() {
            return Ok(found);
        }
        let (sellers, versions): (Vec<Uuid>, Vec<Uuid>) =
            missing.iter().map(|k| (k.seller, k.version.uuid())).unzip();
        let documents = sqlx::query!(
            r#"select v.seller_id, v.id, v.document::text as "document!"
             from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (seller_id, id)) k
             join plan_versions v on v.seller_id = k.seller_id and v.id = k.id"#,
            &sellers,
            &versions,
        )
        .fetch_all(tx)
        .await?;
        let documents: HashMap<(Uuid, Uuid), String> = documents
            .into_iter()
            .map(|row| ((row.seller_id, row.id), row.document))
            .collect();
        for key in missing {
            let document = documents
                .get(&(key.seller, key.version.uuid()))
                .ok_or(Error::NotFound("plan version"))?;
            found.insert(key.clone(), Arc::new(prepare(&key, document)?));
        }
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() + found.len() > KEPT_MAX {
            cache.clear();
        }
        cache.extend(
            found
                .iter()
                .map(|(key, terms)| (key.clone(), Arc::clone(terms))),
        );
        Ok(found)
    }

    fn known(&self, keys: &[TermsKey]) -> (HashMap<TermsKey, Arc<Terms>>, Vec<TermsKey>) {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for key in keys {
            match cache.get(key) {
                Some(terms) => drop(found.insert(key.clone(), Arc::clone(terms))),
                None if missing.contains(key) => {}
                None => missing.push(key.clone()),
            }
        }
        (found, missing)
    }
}

fn prepare(key: &TermsKey, document: &str) -> Result<Terms> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::Internal(format!("plan version {} cannot be used: {e}", key.version))
    };
    let document: Document = serde_json::from_str(document).map_err(|e| wrong(&e))?;
    let zone: Zone = key.zone.parse().map_err(|e| wrong(&e))?;
    let surroundings = Surroundings {
        zone: Some(zone),
        ..Surroundings::default()
    };
    Terms::new(&document, &surroundings).map_err(|e| wrong(&e))
}
