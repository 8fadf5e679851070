//! Plan versions made ready for rating. Published versions never change, so a node prepares each once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgConnection;
use tollbook_core::ids::PlanVersionId;
use tollbook_core::money::Money;
use tollbook_core::plans::{Document, InvalidPlan, Key};
use tollbook_core::rating::{Surroundings, Terms, leaves_traces, order_matters};
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

/// A plan version ready for rating, and what one usage on it means for the others.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) terms: Terms,
    /// Usages share an allowance or a tier total: when one changes, others may cost something else.
    pub(crate) is_shared: bool,
    /// The order in which usages are rated changes what they cost.
    pub(super) is_ordered: bool,
    /// The price decks that it names. They are empty until somebody puts in what they say of the numbers at hand.
    pub(super) decks: Vec<Key>,
    /// What usage of a period may cost, for payers without a cap of their own; and whether calls end there.
    pub(crate) cap: Option<(Money, bool)>,
}

/// Terms by key. A version that cannot be prepared says why: its usage stays in the queue and that of others goes on.
pub(crate) type Ready = HashMap<TermsKey, Result<Arc<Prepared>, String>>;

/// The plan versions that this node has prepared.
#[derive(Debug, Default)]
pub(crate) struct TermsCache(Mutex<HashMap<TermsKey, Arc<Prepared>>>);

impl TermsCache {
    /// The terms of these keys, those not prepared yet read in one query.
    pub(crate) async fn get(&self, tx: &mut PgConnection, keys: &[TermsKey]) -> Result<Ready> {
        let (mut found, missing) = self.known(keys);
        if missing.is_empty() {
            return Ok(found);
        }
        let documents = documents(tx, &missing).await?;
        let mut fresh = HashMap::new();
        for key in missing {
            let document = documents.get(&(key.seller, key.version.uuid()));
            let prepared = match document {
                Some(document) => prepare(&key, document).map(Arc::new),
                None => Err(Error::NotFound("plan version").to_string()),
            };
            if let Ok(prepared) = &prepared {
                fresh.insert(key.clone(), Arc::clone(prepared));
            }
            found.insert(key, prepared);
        }
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() + fresh.len() > KEPT_MAX {
            cache.clear();
        }
        cache.extend(fresh);
        Ok(found)
    }

    fn known(&self, keys: &[TermsKey]) -> (Ready, Vec<TermsKey>) {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for key in keys {
            match cache.get(key) {
                Some(prepared) => drop(found.insert(key.clone(), Ok(Arc::clone(prepared)))),
                None if missing.contains(key) => {}
                None => missing.push(key.clone()),
            }
        }
        (found, missing)
    }
}

async fn documents(
    tx: &mut PgConnection,
    keys: &[TermsKey],
) -> Result<HashMap<(Uuid, Uuid), String>> {
    let (sellers, versions): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|k| (k.seller, k.version.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select v.seller_id, v.id, v.document::text as "document!"
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (seller_id, id)) k
         join plan_versions v on v.seller_id = k.seller_id and v.id = k.id"#,
        &sellers,
        &versions,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.seller_id, row.id), row.document))
        .collect())
}

fn prepare(key: &TermsKey, document: &str) -> Result<Prepared, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("plan version {}: {e}", key.version);
    let document = Document::read(document.as_bytes()).map_err(|e| wrong(&e))?;
    let zone: Zone = key.zone.parse().map_err(|e| wrong(&e))?;
    let cap = document.spend_cap.map(|cap| {
        let amount = Money::from_price(cap.amount, document.currency).map_err(|e| wrong(&e))?;
        Ok::<_, String>((amount, cap.is_hard))
    });
    Ok(Prepared {
        cap: cap.transpose()?,
        ..Prepared::new(&document, zone).map_err(|e| wrong(&e))?
    })
}

impl Prepared {
    /// Makes a document ready in a zone, without its cap. That its decks are there was seen to when it was drafted.
    pub(crate) fn new(document: &Document, zone: Zone) -> Result<Self, InvalidPlan> {
        let decks = document.decks().into_iter();
        let surroundings = Surroundings {
            zone: Some(zone),
            decks: decks.map(|key| (key.clone(), Arc::default())).collect(),
            ..Surroundings::default()
        };
        let terms = Terms::new(document, &surroundings)?;
        Ok(Self {
            cap: None,
            is_shared: leaves_traces(&terms),
            is_ordered: order_matters(&terms),
            decks: surroundings.decks.into_keys().collect(),
            terms,
        })
    }
}
