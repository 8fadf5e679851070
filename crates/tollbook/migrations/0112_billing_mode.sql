-- How the users of an organization are billed for what they use: by the platform, at the prices of its plan, or not at all,
-- since the provider is paid directly and what it charges is shown.
alter table organizations add column billing_mode text not null default 'platform'
    constraint organizations_billing_mode_check check (billing_mode in ('platform', 'pass_through'));
