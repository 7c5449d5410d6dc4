"""What calls cost, measured beside the alternatives in the same run.

``python -m bench`` runs every measurement, ``python -m bench NAME…`` some of
them. The lab is a process of its own, so that what is counted is the client.
"""
