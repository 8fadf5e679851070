//! Clients, webhooks and sandboxes together, over real HTTP.

#[cfg(test)]
mod openphone_client;
#[cfg(test)]
mod openphone_deliveries;
#[cfg(test)]
mod openphone_faults;
#[cfg(test)]
mod support;
#[cfg(test)]
mod twilio;
