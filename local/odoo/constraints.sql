-- Indexes and foreign keys, made after the rows: several times faster than keeping them up to date meanwhile.
-- Primary keys, and the keys of create_uid and write_uid, are the same for every table and made by schema.py.

CREATE UNIQUE INDEX ir_module_module_name_uniq ON ir_module_module (name);
CREATE INDEX ir_module_module__state_index ON ir_module_module (state);
ALTER TABLE ir_config_parameter ADD CONSTRAINT ir_config_parameter_key_uniq UNIQUE (key);
ALTER TABLE res_currency_rate ADD CONSTRAINT res_currency_rate_unique_name_per_day UNIQUE (name, currency_id, company_id);
ALTER TABLE res_currency_rate ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE CASCADE;
ALTER TABLE res_currency_rate ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;

CREATE INDEX res_partner__name_index ON res_partner (name);
CREATE INDEX res_partner__complete_name_index ON res_partner (complete_name); -- @17-
CREATE INDEX res_partner__vat_index ON res_partner (vat);
ALTER TABLE res_partner ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE res_partner ADD FOREIGN KEY (parent_id) REFERENCES res_partner ON DELETE SET NULL;
ALTER TABLE res_partner ADD FOREIGN KEY (commercial_partner_id) REFERENCES res_partner ON DELETE SET NULL;
ALTER TABLE res_company ADD CONSTRAINT res_company_name_uniq UNIQUE (name);
ALTER TABLE res_company ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE res_company ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE RESTRICT;
ALTER TABLE res_company ADD FOREIGN KEY (account_sale_tax_id) REFERENCES account_tax ON DELETE SET NULL;
ALTER TABLE res_company ADD FOREIGN KEY (account_purchase_tax_id) REFERENCES account_tax ON DELETE SET NULL;
ALTER TABLE res_company ADD FOREIGN KEY (currency_exchange_journal_id) REFERENCES account_journal ON DELETE SET NULL;
ALTER TABLE res_users ADD CONSTRAINT res_users_login_key UNIQUE (login);
ALTER TABLE res_users ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT;
ALTER TABLE res_users ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE res_company_users_rel ADD PRIMARY KEY (cid, user_id);
ALTER TABLE res_company_users_rel ADD FOREIGN KEY (cid) REFERENCES res_company ON DELETE CASCADE;
ALTER TABLE res_company_users_rel ADD FOREIGN KEY (user_id) REFERENCES res_users ON DELETE CASCADE;

CREATE INDEX account_account__account_type_index ON account_account (account_type);
CREATE INDEX account_account__code_index ON account_account (code); -- @-17
ALTER TABLE account_account ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT; -- @-17
ALTER TABLE account_account ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_account_res_company_rel ADD PRIMARY KEY (account_account_id, res_company_id); -- @18-
ALTER TABLE account_account_res_company_rel ADD FOREIGN KEY (account_account_id) REFERENCES account_account ON DELETE CASCADE; -- @18-
ALTER TABLE account_account_res_company_rel ADD FOREIGN KEY (res_company_id) REFERENCES res_company ON DELETE CASCADE; -- @18-
ALTER TABLE account_tax ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT;
ALTER TABLE ir_sequence ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE ir_sequence_date_range ADD FOREIGN KEY (sequence_id) REFERENCES ir_sequence ON DELETE CASCADE;
ALTER TABLE account_journal ADD CONSTRAINT account_journal_code_company_uniq UNIQUE (company_id, code);
ALTER TABLE account_journal ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT;
ALTER TABLE account_journal ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_journal ADD FOREIGN KEY (default_account_id) REFERENCES account_account ON DELETE RESTRICT;
ALTER TABLE account_journal ADD FOREIGN KEY (suspense_account_id) REFERENCES account_account ON DELETE RESTRICT;
ALTER TABLE account_journal ADD FOREIGN KEY (secure_sequence_id) REFERENCES ir_sequence ON DELETE SET NULL; -- @-17

CREATE UNIQUE INDEX account_move_unique_name ON account_move (name, journal_id) WHERE state = 'posted' AND name <> '/';
CREATE INDEX account_move_sequence_index ON account_move (journal_id, sequence_prefix DESC, sequence_number DESC, name);
CREATE INDEX account_move_sequence_index2 ON account_move (journal_id, id DESC, sequence_prefix);
CREATE INDEX account_move_payment_idx ON account_move (journal_id, state, payment_state, move_type, date);
CREATE INDEX account_move_journal_id_company_id_idx ON account_move (journal_id, company_id, date); -- @17-
CREATE INDEX account_move_made_gaps ON account_move (journal_id, company_id, date) WHERE made_sequence_gap; -- @18-
CREATE INDEX account_move_checked_idx ON account_move (journal_id) WHERE NOT checked; -- @18-
CREATE INDEX account_move__company_id_index ON account_move (company_id);
CREATE INDEX account_move__date_index ON account_move (date);
CREATE INDEX account_move__invoice_date_due_index ON account_move (invoice_date_due);
CREATE INDEX account_move__move_type_index ON account_move (move_type);
CREATE INDEX account_move__partner_id_index ON account_move (partner_id); -- @17-
CREATE INDEX account_move__inalterable_hash_index ON account_move (inalterable_hash) WHERE inalterable_hash IS NOT NULL; -- @18-
CREATE INDEX account_move__secure_sequence_number_index ON account_move (secure_sequence_number); -- @17-
CREATE INDEX account_move__payment_id_index ON account_move (payment_id) WHERE payment_id IS NOT NULL; -- @-17
CREATE INDEX account_move__origin_payment_id_index ON account_move (origin_payment_id) WHERE origin_payment_id IS NOT NULL; -- @18-
CREATE INDEX account_move__statement_line_id_index ON account_move (statement_line_id) WHERE statement_line_id IS NOT NULL;
CREATE INDEX account_move__reversed_entry_id_index ON account_move (reversed_entry_id) WHERE reversed_entry_id IS NOT NULL;
ALTER TABLE account_move ADD FOREIGN KEY (journal_id) REFERENCES account_journal ON DELETE RESTRICT;
ALTER TABLE account_move ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE RESTRICT;
ALTER TABLE account_move ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE account_move ADD FOREIGN KEY (commercial_partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE account_move ADD FOREIGN KEY (partner_shipping_id) REFERENCES res_partner ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (message_main_attachment_id) REFERENCES ir_attachment ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (payment_id) REFERENCES account_payment ON DELETE SET NULL; -- @-17
ALTER TABLE account_move ADD FOREIGN KEY (origin_payment_id) REFERENCES account_payment ON DELETE SET NULL; -- @18-
ALTER TABLE account_move ADD FOREIGN KEY (statement_line_id) REFERENCES account_bank_statement_line ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (reversed_entry_id) REFERENCES account_move ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (tax_cash_basis_rec_id) REFERENCES account_partial_reconcile ON DELETE SET NULL;
ALTER TABLE account_move ADD FOREIGN KEY (tax_cash_basis_origin_move_id) REFERENCES account_move ON DELETE SET NULL;

CREATE INDEX account_move_line__move_id_index ON account_move_line (move_id);
CREATE INDEX account_move_line__company_id_index ON account_move_line (company_id);
CREATE INDEX account_move_line__journal_id_index ON account_move_line (journal_id);
CREATE INDEX account_move_line__move_name_index ON account_move_line (move_name);
CREATE INDEX account_move_line__date_maturity_index ON account_move_line (date_maturity);
CREATE INDEX account_move_line__matching_number_index ON account_move_line (matching_number); -- @17-
CREATE INDEX account_move_line__full_reconcile_id_index ON account_move_line (full_reconcile_id) WHERE full_reconcile_id IS NOT NULL;
CREATE INDEX account_move_line__payment_id_index ON account_move_line (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX account_move_line__statement_line_id_index ON account_move_line (statement_line_id) WHERE statement_line_id IS NOT NULL;
CREATE INDEX account_move_line__statement_id_index ON account_move_line (statement_id) WHERE statement_id IS NOT NULL;
CREATE INDEX account_move_line_account_id_index ON account_move_line (account_id); -- @16
CREATE INDEX account_move_line_account_id_date_idx ON account_move_line (account_id, date); -- @17-
CREATE INDEX account_move_line__unreconciled_index ON account_move_line (account_id, partner_id) WHERE reconciled IS NOT TRUE AND parent_state = 'posted'; -- @17-
CREATE INDEX account_move_line_journal_id_neg_amnt_residual_idx ON account_move_line (journal_id) WHERE amount_residual < 0 AND parent_state = 'posted'; -- @17-
CREATE INDEX account_move_line_date_name_id_idx ON account_move_line (date DESC, move_name DESC, id);
CREATE INDEX account_move_line_partner_id_ref_idx ON account_move_line (partner_id, ref);
ALTER TABLE account_move_line ADD FOREIGN KEY (move_id) REFERENCES account_move ON DELETE CASCADE;
ALTER TABLE account_move_line ADD FOREIGN KEY (account_id) REFERENCES account_account ON DELETE CASCADE;
ALTER TABLE account_move_line ADD FOREIGN KEY (journal_id) REFERENCES account_journal ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (company_currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE RESTRICT;
ALTER TABLE account_move_line ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE account_move_line ADD FOREIGN KEY (payment_id) REFERENCES account_payment ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (tax_line_id) REFERENCES account_tax ON DELETE RESTRICT;
ALTER TABLE account_move_line ADD FOREIGN KEY (full_reconcile_id) REFERENCES account_full_reconcile ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (statement_line_id) REFERENCES account_bank_statement_line ON DELETE SET NULL;
ALTER TABLE account_move_line ADD FOREIGN KEY (statement_id) REFERENCES account_bank_statement ON DELETE SET NULL;

CREATE INDEX account_partial_reconcile__debit_move_id_index ON account_partial_reconcile (debit_move_id);
CREATE INDEX account_partial_reconcile__credit_move_id_index ON account_partial_reconcile (credit_move_id);
CREATE INDEX account_partial_reconcile__exchange_move_id_index ON account_partial_reconcile (exchange_move_id) WHERE exchange_move_id IS NOT NULL;
CREATE INDEX account_partial_reconcile__full_reconcile_id_index ON account_partial_reconcile (full_reconcile_id) WHERE full_reconcile_id IS NOT NULL;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (debit_move_id) REFERENCES account_move_line ON DELETE RESTRICT;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (credit_move_id) REFERENCES account_move_line ON DELETE RESTRICT;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (full_reconcile_id) REFERENCES account_full_reconcile ON DELETE SET NULL;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (exchange_move_id) REFERENCES account_move ON DELETE SET NULL;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (debit_currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (credit_currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_partial_reconcile ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE account_full_reconcile ADD FOREIGN KEY (exchange_move_id) REFERENCES account_move ON DELETE SET NULL; -- @-18
CREATE INDEX account_payment__move_id_index ON account_payment (move_id);
ALTER TABLE account_payment ADD FOREIGN KEY (move_id) REFERENCES account_move ON DELETE CASCADE; -- @-17
ALTER TABLE account_payment ADD FOREIGN KEY (move_id) REFERENCES account_move ON DELETE SET NULL; -- @18-
ALTER TABLE account_payment ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE account_payment ADD FOREIGN KEY (currency_id) REFERENCES res_currency ON DELETE SET NULL;
ALTER TABLE account_payment ADD FOREIGN KEY (journal_id) REFERENCES account_journal ON DELETE RESTRICT; -- @18-
ALTER TABLE account_payment ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT; -- @18-
ALTER TABLE account_bank_statement ADD FOREIGN KEY (journal_id) REFERENCES account_journal ON DELETE SET NULL;
ALTER TABLE account_bank_statement ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
CREATE INDEX account_bank_statement_line__move_id_index ON account_bank_statement_line (move_id);
ALTER TABLE account_bank_statement_line ADD FOREIGN KEY (move_id) REFERENCES account_move ON DELETE CASCADE;
ALTER TABLE account_bank_statement_line ADD FOREIGN KEY (statement_id) REFERENCES account_bank_statement ON DELETE SET NULL;
ALTER TABLE account_bank_statement_line ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT;
ALTER TABLE account_bank_statement_line ADD FOREIGN KEY (journal_id) REFERENCES account_journal ON DELETE SET NULL; -- @18-
ALTER TABLE account_bank_statement_line ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL; -- @18-

CREATE INDEX ir_attachment__store_fname_index ON ir_attachment (store_fname);
CREATE INDEX ir_attachment__url_index ON ir_attachment (url) WHERE url IS NOT NULL;
CREATE INDEX ir_attachment_res_idx ON ir_attachment (res_model, res_id);
ALTER TABLE ir_attachment ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE ir_attachment ADD FOREIGN KEY (original_id) REFERENCES ir_attachment ON DELETE SET NULL;
CREATE INDEX mail_message_model_res_id_idx ON mail_message (model, res_id);
ALTER TABLE mail_message ADD FOREIGN KEY (author_id) REFERENCES res_partner ON DELETE SET NULL;
ALTER TABLE mail_mail ADD FOREIGN KEY (mail_message_id) REFERENCES mail_message ON DELETE CASCADE;
ALTER TABLE payment_provider ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE RESTRICT;
ALTER TABLE ir_cron ADD FOREIGN KEY (user_id) REFERENCES res_users ON DELETE RESTRICT;
CREATE INDEX ir_cron_trigger__cron_id_index ON ir_cron_trigger (cron_id);
ALTER TABLE ir_cron_trigger ADD FOREIGN KEY (cron_id) REFERENCES ir_cron ON DELETE CASCADE;
CREATE INDEX ir_cron_progress__cron_id_index ON ir_cron_progress (cron_id); -- @18-
ALTER TABLE ir_cron_progress ADD FOREIGN KEY (cron_id) REFERENCES ir_cron ON DELETE CASCADE; -- @18-
ALTER TABLE queue_job_channel ADD FOREIGN KEY (parent_id) REFERENCES queue_job_channel ON DELETE RESTRICT;
ALTER TABLE queue_job_function ADD FOREIGN KEY (channel_id) REFERENCES queue_job_channel ON DELETE RESTRICT;
CREATE INDEX queue_job__state_index ON queue_job (state);
CREATE INDEX queue_job__channel_index ON queue_job (channel);
CREATE INDEX queue_job__uuid_index ON queue_job (uuid);
CREATE INDEX queue_job__company_id_index ON queue_job (company_id);
CREATE INDEX queue_job_channel_date_done_date_created_index ON queue_job (channel, date_done, date_created);
CREATE INDEX queue_job_identity_key_state_partial_index ON queue_job (identity_key) WHERE state IN ('pending', 'enqueued', 'wait_dependencies') AND identity_key IS NOT NULL;
ALTER TABLE queue_job ADD FOREIGN KEY (job_function_id) REFERENCES queue_job_function ON DELETE SET NULL;
ALTER TABLE queue_job ADD FOREIGN KEY (company_id) REFERENCES res_company ON DELETE SET NULL;
ALTER TABLE queue_job ADD FOREIGN KEY (user_id) REFERENCES res_users ON DELETE RESTRICT;
ALTER TABLE queue_job_lock ADD FOREIGN KEY (queue_job_id) REFERENCES queue_job ON DELETE CASCADE;
