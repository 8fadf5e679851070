//! What Supabase's clients call: remote procedures and edge functions, in Supabase's own form. Thin over the functions
//! of `schema/supabase.sql` and the operations on numbers.

pub(crate) mod functions;
pub(crate) mod rpc;
