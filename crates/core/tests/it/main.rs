//! Properties that hold across modules.

#[cfg(test)]
mod histories;
#[cfg(test)]
mod order;
