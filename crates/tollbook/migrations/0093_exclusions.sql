-- The index of an exclusion constraint also answers equality, and the planner takes it although the b-tree beside it
-- reads a hundredth: pages of random ids overlap in GiST. Expressions keep that index for its rule alone.
alter table subscriptions
    drop constraint subscriptions_account_id_excl,
    add constraint subscriptions_account_id_excl exclude using gist
        ((organization_id::text) with =, (account_id::text) with =, tstzrange(starts_at, ends_at) with &&);
alter table number_mappings
    drop constraint number_mappings_phone_number_id_excl,
    add constraint number_mappings_phone_number_id_excl exclude using gist
        ((phone_number_id::text) with =, tstzrange(starts_at, ends_at) with &&);
alter table pay_per_call_terms
    drop constraint pay_per_call_terms_excl,
    add constraint pay_per_call_terms_excl exclude using gist
        ((organization_id::text) with =, tstzrange(starts_at, ends_at) with &&);
