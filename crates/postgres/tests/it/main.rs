//! The cluster as its users meet it: started, killed, started again, as root and as an ordinary user.

#![cfg(test)]

mod crashes;
mod folders;
mod lives;
mod ordinary_user;
mod support;
