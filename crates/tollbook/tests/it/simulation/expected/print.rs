//! What stands on paper.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Payer;
use super::documents::{Issued, Kind, written};
use crate::ratio::Ratio;
use crate::simulation::script::Script;

impl Payer<'_> {
    pub(super) fn finalize(&mut self, now: Timestamp) {
        for n in 0..self.documents.len() {
            let document = &self.documents[n];
            if document.issued.is_some() || document.due.is_none_or(|due| due > now) {
                continue;
            }
            let issued = self.print(n, now);
            let document = &mut self.documents[n];
            if issued.lines.is_empty() {
                document.due = None;
            } else {
                document.issued = Some(issued);
            }
        }
    }

    pub(super) fn print(&mut self, n: usize, now: Timestamp) -> Issued {
        let (coins, document) = (self.coins, &self.documents[n]);
        let own = document
            .lines
            .iter()
            .map(|(line, sum)| (line.clone(), sum.clone()));
        let again = document.again.iter().flat_map(|void| {
            let lines = self.documents[*void].lines.iter();
            lines.map(move |(line, sum)| (format!("{line}@void{void}"), sum.clone()))
        });
        let (mut lines, mut printed, mut usage) = (Vec::new(), 0, 0);
        let zero = Ratio::whole(0);
        for (line, (quantity, amount)) in own.chain(again) {
            if quantity == zero && amount == zero {
                continue;
            }
            let minor = coins.round(&amount);
            printed += minor;
            if !line.starts_with("fee/") && !line.contains("@void") {
                usage += minor;
            }
            lines.push(format!(
                "{} {} {minor}",
                self.label(&line),
                written(&quantity)
            ));
        }
        if let Some(gap) = self
            .committed(n)
            .map(|least| coins.round(&least) - usage)
            .filter(|gap| *gap > 0)
        {
            printed += gap;
            lines.push(format!("commitment 1 {gap}"));
            let amount = Ratio::whole(gap).over(&Ratio::whole(10_i64.pow(coins.digits)));
            self.documents[n].add("commitment", &(Ratio::whole(1), amount));
        }
        lines.sort_unstable();
        let (subtotal, tax, total) = coins.tax(printed, self.tax);
        Issued {
            at: now,
            lines,
            subtotal,
            tax,
            total,
        }
    }

    pub(super) fn committed(&self, n: usize) -> Option<Ratio> {
        let place = &self.documents[n].place;
        let mut contracts = self.contracts.iter();
        contracts.find_map(|it| {
            let is_it = |period: &i32| it.billed(*period) == place.span;
            let period = (0..it.made).find(is_it)?;
            (place.kind == Kind::Period)
                .then(|| it.commitment(period, self.plans))
                .flatten()
        })
    }

    /// A line as it is called where bills are compared.
    pub(super) fn label(&self, line: &str) -> String {
        let (own, suffix) = line.split_once('@').unwrap_or((line, ""));
        let own = match own
            .strip_prefix("fee/")
            .and_then(|it| it.rsplit('/').next())
        {
            Some(plan) => format!("fee {}", self.plan_name(plan.parse().unwrap())),
            None => own.to_owned(),
        };
        match suffix {
            "" => own,
            day if !day.contains("void") => format!("{own}@{day}"),
            void => match void.split_once("@void") {
                Some((day, _)) => format!("{own}@{day}@void"),
                None => format!("{own}@void"),
            },
        }
    }

    pub(super) fn plan_name(&self, plan: usize) -> &str {
        self.plans[plan].document["name"].as_str().unwrap()
    }

    pub(super) fn bills(&self, script: &Script) -> Vec<String> {
        let payer = &script.payers[self.number];
        let issued = self
            .documents
            .iter()
            .filter_map(|it| Some((it, it.issued.as_ref()?)));
        issued
            .map(|(document, issued)| {
                let kind = match document.place.kind {
                    Kind::Period => "period",
                    Kind::First => "one_off",
                    Kind::Call(_) => "call",
                };
                let (start, end) = document.place.span;
                let void = if document.is_void { " void" } else { "" };
                let mut bill = format!(
                    "{} {}: {kind} {start} {end}{void}, {}, {} + {} = {}",
                    self.firm.name,
                    payer.phone,
                    issued.at,
                    issued.subtotal,
                    issued.tax,
                    issued.total
                );
                for line in &issued.lines {
                    write!(bill, "; {line}").unwrap();
                }
                bill
            })
            .collect()
    }
}
