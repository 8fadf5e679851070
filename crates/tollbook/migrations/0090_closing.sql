-- What there was of a period when it was closed.

alter table invoices
    add column webhooks bigint,
    add column webhooks_parked bigint,
    add column usages bigint,
    add column usages_rated bigint,
    add column usages_parked bigint,
    add constraint invoices_closing_check check (num_nulls(webhooks, webhooks_parked, usages, usages_rated, usages_parked) in (0, 5)
        and (webhooks is null or kind = 'period' and state <> 'draft')
        and least(webhooks, webhooks_parked, usages, usages_rated, usages_parked) >= 0);
comment on column invoices.webhooks is 'What the organization''s own accounts told in the period, counted when it was closed.';
comment on column invoices.webhooks_parked is 'How many of its webhooks could not be understood then.';
comment on column invoices.usages is 'Usage of the payer that occurred in the period, as it was recorded.';
comment on column invoices.usages_rated is 'How much of it had its charges.';
comment on column invoices.usages_parked is 'How much of it could not be rated.';
