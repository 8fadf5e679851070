//! Properties that hold across modules.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod allowances;
#[cfg(test)]
mod books;
#[cfg(test)]
mod calendars;
#[cfg(test)]
mod calls_in_progress;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod order;
#[cfg(test)]
mod order_rule;
#[cfg(test)]
mod periods;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random;
#[cfg(test)]
mod ratio;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod rerating;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod settling;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod wallets;
