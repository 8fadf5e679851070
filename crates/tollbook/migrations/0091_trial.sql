-- Subscriptions that begin with days that cost no base fee.

alter table subscriptions
    add column trial_ends_at timestamptz,
    add constraint subscriptions_trial_check check ((trial_ends_at is null or trial_ends_at > starts_at) and (state <> 'trial' or trial_ends_at is not null));
create index subscriptions_trial_idx on subscriptions (trial_ends_at) where state = 'trial';
comment on column subscriptions.trial_ends_at is 'First instant for which a base fee is due; null: it began without a trial.';
