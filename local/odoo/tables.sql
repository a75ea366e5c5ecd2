-- The tables of an Odoo database that a verification reads, with the columns that carry meaning for it.
-- `-- @18-` keeps a line for version 18 and later, `-- @-17` until 17, `-- @16` for 16 only. Keys and indexes: constraints.sql.

CREATE TABLE ir_module_module (
    id serial, name varchar NOT NULL, shortdesc jsonb, author varchar, website varchar, license varchar(32),
    state varchar(16), latest_version varchar, application boolean DEFAULT false, auto_install boolean DEFAULT false,
    sequence int DEFAULT 100, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_config_parameter (
    id serial, key varchar NOT NULL, value text NOT NULL,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE res_currency (
    id serial, name varchar NOT NULL, symbol varchar NOT NULL, full_name varchar, rounding numeric, decimal_places int,
    position varchar, active boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE res_currency_rate (
    id serial, name date NOT NULL, rate numeric, currency_id int NOT NULL, company_id int,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    CONSTRAINT res_currency_rate_currency_rate_check CHECK (rate > 0)
);

CREATE TABLE res_partner (
    id serial, name varchar, company_id int, parent_id int, commercial_partner_id int, lang varchar, tz varchar, vat varchar,
    type varchar, street varchar, zip varchar, city varchar, email varchar, phone varchar, active boolean,
    is_company boolean, partner_share boolean, customer_rank int, supplier_rank int,
    display_name varchar, -- @16
    complete_name varchar, -- @17-
    autopost_bills varchar NOT NULL, -- @18-
    create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    CONSTRAINT res_partner_check_name CHECK ((type = 'contact' AND name IS NOT NULL) OR type <> 'contact')
);

CREATE TABLE res_company (
    id serial, name varchar NOT NULL, partner_id int NOT NULL, currency_id int NOT NULL, sequence int, parent_id int,
    parent_path varchar, -- @17-
    active boolean, email varchar,
    chart_template varchar, -- @17-
    fiscalyear_last_day int NOT NULL, fiscalyear_last_month varchar NOT NULL,
    period_lock_date date, -- @-17
    fiscalyear_lock_date date, tax_lock_date date,
    sale_lock_date date, purchase_lock_date date, hard_lock_date date, -- @18-
    account_opening_date date NOT NULL, account_sale_tax_id int, account_purchase_tax_id int,
    currency_exchange_journal_id int, income_currency_exchange_account_id int, expense_currency_exchange_account_id int,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE res_users (
    id serial, login varchar NOT NULL, password varchar, active boolean, share boolean, company_id int NOT NULL,
    partner_id int NOT NULL, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE res_company_users_rel (cid int NOT NULL, user_id int NOT NULL);

CREATE TABLE account_account (
    id serial, account_type varchar NOT NULL, currency_id int,
    name varchar NOT NULL, -- @16
    name jsonb NOT NULL, -- @17-
    company_id int NOT NULL, code varchar(64) NOT NULL, root_id int, internal_group varchar, -- @-17
    code_store jsonb, -- @18-
    deprecated boolean, -- @-18
    active boolean, -- @19-
    reconcile boolean, non_trade boolean, note text,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_account_res_company_rel (account_account_id int NOT NULL, res_company_id int NOT NULL); -- @18-

CREATE TABLE account_tax (
    id serial, company_id int NOT NULL, amount_type varchar NOT NULL, type_tax_use varchar NOT NULL, amount numeric NOT NULL,
    name varchar NOT NULL, -- @16
    name jsonb NOT NULL, -- @17-
    active boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_sequence (
    id serial, name varchar NOT NULL, code varchar, implementation varchar NOT NULL, prefix varchar, suffix varchar,
    number_next int NOT NULL, number_increment int NOT NULL, padding int NOT NULL, company_id int, active boolean,
    use_date_range boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_sequence_date_range (
    id serial, date_from date NOT NULL, date_to date NOT NULL, sequence_id int NOT NULL, number_next int NOT NULL,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_journal (
    id serial, code varchar(5) NOT NULL, type varchar NOT NULL,
    name varchar NOT NULL, -- @16
    name jsonb NOT NULL, -- @17-
    secure_sequence_id int, -- @-17
    autocheck_on_post boolean, -- @18-
    active boolean, sequence int, company_id int NOT NULL, currency_id int, default_account_id int,
    suspense_account_id int, invoice_reference_type varchar NOT NULL, invoice_reference_model varchar NOT NULL,
    sequence_override_regex text, restrict_mode_hash_table boolean, refund_sequence boolean, payment_sequence boolean,
    show_on_dashboard boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_move (
    id serial, sequence_number int, message_main_attachment_id int, journal_id int NOT NULL, company_id int,
    payment_id int, -- @-17
    origin_payment_id int, -- @18-
    statement_line_id int, tax_cash_basis_rec_id int, tax_cash_basis_origin_move_id int, auto_post_origin_id int,
    secure_sequence_number int, partner_id int, commercial_partner_id int, partner_shipping_id int,
    currency_id int NOT NULL, reversed_entry_id int, invoice_user_id int, create_uid int, write_uid int,
    sequence_prefix varchar, access_token varchar, name varchar, ref varchar, state varchar NOT NULL,
    move_type varchar NOT NULL, auto_post varchar NOT NULL, inalterable_hash varchar, payment_reference varchar,
    payment_state varchar, invoice_source_email varchar, invoice_partner_display_name varchar, invoice_origin varchar,
    edi_state varchar, -- @16
    date date NOT NULL, auto_post_until date, invoice_date date, invoice_date_due date,
    delivery_date date, -- @17-
    send_and_print_values jsonb, -- @17
    sending_data jsonb, -- @18-
    narration text,
    invoice_currency_rate numeric, amount_untaxed_in_currency_signed numeric, -- @18-
    amount_untaxed numeric, amount_tax numeric, amount_total numeric, amount_residual numeric,
    amount_untaxed_signed numeric, amount_tax_signed numeric, amount_total_signed numeric,
    amount_total_in_currency_signed numeric, amount_residual_signed numeric, quick_edit_total_amount numeric,
    is_storno boolean, -- @-18
    always_tax_exigible boolean, posted_before boolean, is_move_sent boolean,
    to_check boolean, -- @-17
    checked boolean, made_sequence_gap boolean, is_manually_modified boolean, -- @18-
    create_date timestamp, write_date timestamp
);

CREATE TABLE account_move_line (
    id serial, move_id int NOT NULL, journal_id int, company_id int, company_currency_id int, sequence int,
    account_id int, currency_id int NOT NULL, partner_id int, payment_id int, statement_line_id int, statement_id int,
    tax_line_id int, full_reconcile_id int, create_uid int, write_uid int, move_name varchar, parent_state varchar,
    ref varchar, name varchar, matching_number varchar, display_type varchar NOT NULL,
    account_root_id int, blocked boolean, -- @-17
    tax_audit varchar, -- @16
    invoice_date date, -- @17-
    is_imported boolean, -- @18-
    is_storno boolean, no_followup boolean, -- @19-
    date date, date_maturity date, discount_date date, analytic_distribution jsonb,
    debit numeric, credit numeric, balance numeric, amount_currency numeric, tax_base_amount numeric,
    amount_residual numeric, amount_residual_currency numeric, quantity numeric, price_unit numeric,
    price_subtotal numeric, price_total numeric, discount numeric,
    tax_tag_invert boolean, -- @-18
    reconciled boolean, create_date timestamp, write_date timestamp,
    CONSTRAINT account_move_line_check_accountable_required_fields
        CHECK (display_type IN ('line_section', 'line_note') OR account_id IS NOT NULL),
    CONSTRAINT account_move_line_check_amount_currency_balance_sign
        CHECK (display_type IN ('line_section', 'line_note') OR (balance <= 0 AND amount_currency <= 0) OR (balance >= 0 AND amount_currency >= 0)),
    CONSTRAINT account_move_line_check_credit_debit
        CHECK (display_type IN ('line_section', 'line_note') OR credit * debit = 0),
    CONSTRAINT account_move_line_check_non_accountable_fields_null
        CHECK (display_type NOT IN ('line_section', 'line_note') OR (amount_currency = 0 AND debit = 0 AND credit = 0 AND account_id IS NULL))
);

CREATE TABLE account_full_reconcile (
    id serial,
    name varchar NOT NULL, -- @16
    exchange_move_id int, -- @-18
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_partial_reconcile (
    id serial, debit_move_id int NOT NULL, credit_move_id int NOT NULL, full_reconcile_id int, exchange_move_id int,
    debit_currency_id int, credit_currency_id int, company_id int, max_date date, amount numeric,
    debit_amount_currency numeric, credit_amount_currency numeric,
    draft_caba_move_vals jsonb, -- @19-
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_payment (
    id serial,
    move_id int NOT NULL, -- @-17
    move_id int, -- @18-
    name varchar, state varchar NOT NULL, date date NOT NULL, memo varchar, is_sent boolean, -- @18-
    journal_id int NOT NULL, company_id int NOT NULL, -- @18-
    is_internal_transfer boolean, -- @-17
    partner_id int, currency_id int, outstanding_account_id int, destination_account_id int, payment_type varchar NOT NULL,
    partner_type varchar NOT NULL, payment_reference varchar, amount numeric, amount_company_currency_signed numeric,
    is_reconciled boolean, is_matched boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    CONSTRAINT account_payment_check_amount_not_negative CHECK (amount >= 0)
);

CREATE TABLE account_bank_statement (
    id serial, name varchar, reference varchar, first_line_index varchar, date date, journal_id int, company_id int,
    balance_start numeric, balance_end numeric, balance_end_real numeric, is_complete boolean,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE account_bank_statement_line (
    id serial, move_id int NOT NULL, statement_id int,
    journal_id int NOT NULL, company_id int NOT NULL, -- @18-
    sequence int, partner_id int, currency_id int, foreign_currency_id int, payment_ref varchar, internal_index varchar,
    amount numeric, amount_currency numeric, amount_residual double precision, is_reconciled boolean,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_attachment (
    id serial, name varchar NOT NULL, description text, res_model varchar, res_field varchar, res_id int, company_id int,
    type varchar NOT NULL, url varchar(1024), public boolean, access_token varchar, db_datas bytea, store_fname varchar,
    file_size int, checksum varchar(40), mimetype varchar, index_content text, original_id int,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE mail_message (
    id serial, subject varchar, date timestamp, body text, message_type varchar NOT NULL, model varchar, res_id int,
    author_id int, email_from varchar, message_id varchar, is_internal boolean,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE mail_mail (
    id serial, mail_message_id int NOT NULL, state varchar, email_to text, failure_reason text, auto_delete boolean,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_mail_server (
    id serial, name varchar NOT NULL, sequence int, smtp_authentication varchar NOT NULL,
    smtp_host varchar NOT NULL, smtp_port int NOT NULL, -- @16
    smtp_host varchar, smtp_port int, -- @17-
    smtp_encryption varchar NOT NULL, active boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE fetchmail_server (
    id serial, name varchar NOT NULL, state varchar, server varchar, port int, server_type varchar NOT NULL,
    is_ssl boolean, active boolean, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE payment_provider (
    id serial, code varchar NOT NULL, state varchar NOT NULL, company_id int NOT NULL,
    name varchar NOT NULL, -- @16
    name jsonb NOT NULL, -- @17-
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_cron (
    id serial, ir_actions_server_id int NOT NULL, user_id int NOT NULL, active boolean,
    cron_name jsonb, -- @16
    cron_name varchar, -- @17-
    numbercall int, doall boolean, -- @-17
    failure_count int, first_failure_date timestamp, -- @18-
    interval_number int, interval_type varchar, -- @-17
    interval_number int NOT NULL, interval_type varchar NOT NULL, -- @18-
    priority int, nextcall timestamp NOT NULL, lastcall timestamp,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    CONSTRAINT ir_cron_check_strictly_positive_interval CHECK (interval_number > 0)
);

CREATE TABLE ir_cron_trigger (
    id serial, cron_id int, call_at timestamp, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE ir_cron_progress ( -- @18-
    id serial, cron_id int NOT NULL, remaining int, done int, timed_out_counter int, deactivate boolean, -- @18-
    create_uid int, create_date timestamp, write_uid int, write_date timestamp -- @18-
); -- @18-

CREATE TABLE queue_job_channel (
    id serial, name varchar, complete_name varchar, parent_id int, removal_interval int NOT NULL,
    capacity int, sequential boolean, throttle int, paused boolean, -- @18
    create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE TABLE queue_job_function (
    id serial, name varchar, method varchar, model_id int, channel varchar, channel_id int NOT NULL
);

CREATE TABLE queue_job (
    id serial, uuid varchar NOT NULL, graph_uuid varchar, name varchar, model_name varchar, method_name varchar,
    records text, args text, kwargs text, -- @-17
    records jsonb, args jsonb, kwargs jsonb, -- @18-
    func_string varchar, state varchar NOT NULL, priority int, retry int, max_retries int, exc_name varchar,
    exc_message varchar, exc_info text, result text, date_created timestamp, date_enqueued timestamp,
    date_started timestamp, date_done timestamp, date_cancelled timestamp, exec_time double precision, eta timestamp,
    job_function_id int, channel varchar, channel_method_name varchar, identity_key varchar, dependencies text,
    worker_pid int, user_id int, company_id int
);

CREATE TABLE queue_job_lock (
    id serial, queue_job_id int NOT NULL, create_uid int, create_date timestamp, write_uid int, write_date timestamp
);

CREATE SEQUENCE base_registry_signaling;
CREATE SEQUENCE base_cache_signaling; -- @16
CREATE SEQUENCE base_cache_signaling_default; -- @17-
