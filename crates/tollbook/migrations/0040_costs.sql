-- Prices that the provider tells later: what to ask it for, when, and how often it was asked.

alter table provider_costs
    add column integration_id uuid references integrations (id),
    add column sid text collate "C",
    add column ask_at timestamptz,
    add column asks integer not null default 0 check (asks >= 0),
    add constraint provider_costs_ask_check check (ask_at is null or (amount is null and integration_id is not null and sid is not null));
-- A voicemail costs what a recording costs, and has a row of its own.
alter table provider_costs drop constraint provider_costs_subject_check;
alter table provider_costs add constraint provider_costs_subject_check
    check (subject in ('call', 'message', 'recording', 'voicemail', 'number'));
create index provider_costs_ask_at_idx on provider_costs (ask_at) where ask_at is not null;
