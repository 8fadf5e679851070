-- A recording that was never copied and that the provider has no more.
alter table recordings add column given_up_at timestamptz;
comment on column recordings.given_up_at is 'When the provider said that it has no such recording any more: it is not asked for again.';
