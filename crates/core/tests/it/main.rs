//! Properties that hold across modules.

#[cfg(test)]
mod examples;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod order;
#[cfg(test)]
mod ratio;
#[cfg(test)]
mod reader;
