//! Runs all checks, organization by organization.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use super::check::{OfOrganization, OfPlatform};
use super::{
    charges, chunks, commitments, corrections, counters, documents, inbox, legs, numbers, periods,
    rows, search,
};
use crate::app::App;
use crate::error::Result;

/// So many differences are kept; all are counted.
const KEPT_MAX: usize = 10_000;
/// A check of an organization that has found so many ends: more would tell nothing new.
pub(super) const FOUND_MAX: usize = 10_000;

/// A row that does not agree with what it is derived from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose it is; `None` for the platform's own rows.
    pub organization: Option<OrganizationId>,
    /// Where it stands.
    pub table: String,
    /// The row's key, without its organization.
    pub key: String,
    /// The column, or what else of the row.
    pub what: String,
    /// By what it is derived from.
    pub expected: String,
    /// As it is stored.
    pub found: String,
}

impl Difference {
    /// What it is about; in a busy database the figures move on.
    fn subject(&self) -> (Option<OrganizationId>, &str, &str, &str) {
        (self.organization, &self.table, &self.key, &self.what)
    }

    /// Those of `found` that were found `again`.
    pub(super) fn in_both(found: Vec<Self>, again: &[Self]) -> Vec<Self> {
        let again: HashSet<_> = again.iter().map(Self::subject).collect();
        found
            .into_iter()
            .filter(|it| again.contains(&it.subject()))
            .collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            organization,
            table,
            key,
            what,
            expected,
            found,
        } = self;
        write!(f, "{table} {key}")?;
        if let Some(organization) = organization {
            write!(f, " of organization {organization}")?;
        }
        write!(f, ": {what}: expected {expected}, found {found}")
    }
}

/// What came out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many organizations were looked at.
    pub organizations: u64,
    /// How many there are, listed or not.
    pub count: usize,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being checked.
    pub check: &'static str,
    /// The organization it is at, counted from 1; 0: those of the platform.
    pub organization: u64,
    /// Rows read, about.
    pub rows: u64,
}

impl App {
    /// Recounts everything; `tell` hears after each chunk how far it is.
    pub async fn verify(&self, mut tell: impl FnMut(Progress)) -> Result<Report> {
        let app = self;
        let mut report = Report::default();
        let mut rows = 0;
        let mut after = Uuid::nil();
        while let Some(organization) = next_organization(app, after).await? {
            after = organization.uuid();
            report.organizations += 1;
            for check in OfOrganization::ALL {
                let place = report.organizations;
                let mut tell = |more| {
                    rows += more;
                    tell(Progress {
                        check: check.name(),
                        organization: place,
                        rows,
                    });
                };
                let found = of_organization(app, check, organization, &mut tell).await?;
                report.add(found);
            }
        }
        for check in OfPlatform::ALL {
            let mut tell = |more| {
                rows += more;
                tell(Progress {
                    check: check.name(),
                    organization: 0,
                    rows,
                });
            };
            let found = of_platform(app, check, &mut tell).await?;
            report.add(found);
        }
        Ok(report)
    }
}

impl Report {
    fn add(&mut self, found: Vec<Difference>) {
        self.count += found.len();
        let room = KEPT_MAX.saturating_sub(self.differences.len());
        self.differences.extend(found.into_iter().take(room));
    }
}

async fn next_organization(app: &App, after: Uuid) -> Result<Option<OrganizationId>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let next = sqlx::query_scalar!(
        "select id from organizations where id > $1 order by id limit 1",
        after
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(next.map(OrganizationId::from))
}

async fn of_organization(
    app: &App,
    check: OfOrganization,
    organization: OrganizationId,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    // A sum that looks wrong is made once more from the start: only what is wrong in both is wrong.
    match check {
        OfOrganization::Counters => {
            let found = counters::run(app, organization, tell).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let again = counters::run(app, organization, tell).await?;
            Ok(Difference::in_both(found, &again))
        }
        OfOrganization::Traces => {
            let found = charges::run(app, organization, tell).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let again = charges::run(app, organization, tell).await?;
            Ok(Difference::in_both(found, &again))
        }
        OfOrganization::Documents => documents::run(app, organization, tell).await,
        OfOrganization::Periods => {
            let read = async |after| periods::chunk(app, organization, after).await;
            chunks::run(periods::CHUNK, tell, read).await
        }
        OfOrganization::Commitments => {
            let read = async |after| commitments::chunk(app, organization, after).await;
            chunks::run(commitments::CHUNK, tell, read).await
        }
        OfOrganization::Corrections => {
            let read = async |after| corrections::chunk(app, organization, after).await;
            chunks::run(corrections::CHUNK, tell, read).await
        }
        OfOrganization::Legs => {
            let read = async |after| legs::chunk(app, organization, after).await;
            chunks::run(legs::CHUNK, tell, read).await
        }
        OfOrganization::Search => {
            let read = async |after| search::chunk(app, organization, after).await;
            chunks::run(search::CHUNK, tell, read).await
        }
        OfOrganization::Rows(rows) => rows::run(app, rows, Some(organization), tell).await,
    }
}

async fn of_platform(
    app: &App,
    check: OfPlatform,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    match check {
        OfPlatform::Numbers => numbers::run(app, tell).await,
        OfPlatform::Inbox => {
            let read = async |after| inbox::chunk(app, after).await;
            chunks::run(inbox::CHUNK, tell, read).await
        }
        OfPlatform::Rows(rows) => rows::run(app, rows, None, tell).await,
    }
}
