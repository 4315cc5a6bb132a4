"""Whose data it is: takes a community's raw data, gives out what each may see, and lets a person go.

- ``keys``        key files of mode 0600, and the keyring whose keys open sealed files
- ``pseudonym``   one name per member and key
- ``sealed``      files encrypted at rest, bound to their names
- ``roles``       who may read what; everybody proves who they are with a file
- ``ledger``      every access, chained, so that none can be taken out unseen
- ``vault``       the folder that holds all of these
- ``texts``       what the chain says they wrote
- ``places``      where a community keeps raw data
- ``row_lines``   rows with the bytes they stand in
- ``rows``        finding one member's rows in a file, and the file without them
- ``member_tables``  whose a row of a foreign table, or a JSON record, is
- ``record_lists``   one person's records out of JSON documents
- ``held``        what was held of theirs before it was paid
- ``leftovers``   what killed commands left behind
- ``traces``      the search for what may be left, in every disguise
- ``person``      everything about one member, and its export
- ``erasure``     their erasure, file by file
- ``retention``   raw data that has served its time
- ``grouped``     reports in which nobody stands alone
- ``noisy``       aggregates with noise, on a budget
"""
