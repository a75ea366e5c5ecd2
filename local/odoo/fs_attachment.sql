-- What OCA's addon fs_attachment adds.
ALTER TABLE ir_attachment
    ADD COLUMN fs_filename varchar, ADD COLUMN fs_storage_code varchar, ADD COLUMN fs_storage_id int, ADD COLUMN fs_url varchar;
CREATE TABLE fs_storage (id serial, name varchar NOT NULL, code varchar NOT NULL, protocol varchar NOT NULL);
INSERT INTO fs_storage (name, code, protocol) VALUES ('Azure Blob', 'azblob', 'abfs');
CREATE TABLE fs_file_gc (id serial, store_fname varchar NOT NULL, fs_storage_code varchar, create_date timestamp);
